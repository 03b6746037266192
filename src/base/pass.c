/* Open files handed to a running process, through a socket between the two. */
#include "base.h"
#include <errno.h>
#include <sys/socket.h>

/* A message is one byte of no meaning; what it carries is beside it. */
union control {
    char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
    struct cmsghdr aligned;
};

bool pass_channel(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

bool pass_send(int channel, const int *fds, int n)
{
    union control c = {.bytes = {0}};
    char byte = 0;
    size_t size = (size_t)n * sizeof *fds;
    struct msghdr m = {.msg_iov = &(struct iovec){&byte, 1},
                       .msg_iovlen = 1,
                       .msg_control = c.bytes,
                       .msg_controllen = CMSG_SPACE(size)};
    CHECK(n > 0 && n <= PASS_MAX, "%d files at once", n);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(h), fds, size);
    ssize_t sent;
    do sent = sendmsg(channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == 1;
}

int pass_receive(int channel, int fds[PASS_MAX])
{
    union control c = {.bytes = {0}};
    char byte = 0;
    struct msghdr m = {.msg_iov = &(struct iovec){&byte, 1},
                       .msg_iovlen = 1,
                       .msg_control = c.bytes,
                       .msg_controllen = sizeof c.bytes};
    ssize_t got = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);
    if (got <= 0) return (int)got;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) return 0;
    size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
    memcpy(fds, CMSG_DATA(h), n * sizeof *fds);
    return (int)n;
}
