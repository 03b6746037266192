/* Reading what is there under a name: files and links to them, and nothing that a reader would wait at for ever. */
#include "test.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct arena arena;

static const char *at(const char *name)
{
    static char dir[300];
    if (!dir[0]) snprintf(dir, sizeof dir, "%s", test_dir());
    return fs_join(&arena, dir, name);
}

/* By every way to read a file. */
static void refused(const char *path, const char *says)
{
    char *text = NULL, line[8];
    struct hash h;
    int fd;
    alarm(20); /* a reader that waits ends the suite */
    TEST_FAILS(fs_read(&text, NULL, path), STATUS_IO, says);
    TEST_FAILS(hash_file(&h, path), STATUS_IO, says);
    TEST_FAILS(fs_open(&fd, path), STATUS_IO, says);
    CU_ASSERT_FALSE(fs_first_line(line, sizeof line, path));
    alarm(0);
}

static void fs_read__waits_at_no_pipe(void)
{
    const char *fifo = at("fifo"), *sock = at("sock"), *link = at("link");
    CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
    CU_ASSERT_EQUAL(symlink("fifo", link), 0);
    refused(fifo, "fifo: is a pipe, expected a file");
    refused(link, "link: is a pipe, expected a file");
    refused(test_dir(), "is a folder, expected a file");
    refused("/dev/zero", "/dev/zero: is a device, expected a file");
    refused(at("none"), "none: cannot open: No such file");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", sock);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL(bind(s, (const struct sockaddr *)&name, sizeof name), 0);
    refused(sock, "sock: is a socket or a device, expected a file");
    close(s);
}

static void fs_read__follows_links_and_takes_what_a_shell_hands_over(void)
{
    const char *file = at("file"), *link = at("to_file");
    char *text = NULL, path[40], line[8];
    struct hash a, b;
    int pair[2];
    size_t n;
    TEST_OK(fs_write(file, "one\ntwo\n", 8));
    CU_ASSERT_EQUAL(symlink("file", link), 0);
    TEST_OK(fs_read(&text, &n, link));
    CU_ASSERT(n == 8 && text && strcmp(text, "one\ntwo\n") == 0);
    free(text);
    TEST_OK(hash_file(&a, file));
    TEST_OK(hash_file(&b, link));
    CU_ASSERT_STRING_EQUAL(a.hex, b.hex);
    CU_ASSERT_STRING_EQUAL(a.hex, hash_bytes("one\ntwo\n", 8).hex);
    CU_ASSERT_TRUE(fs_first_line(line, sizeof line, link));
    CU_ASSERT_STRING_EQUAL(line, "one");
    CU_ASSERT_EQUAL(pipe(pair), 0);
    CU_ASSERT_EQUAL(write(pair[1], "name: x\n", 8), 8);
    close(pair[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", pair[0]);
    TEST_OK(fs_read(&text, &n, path));
    CU_ASSERT(n == 8 && text && strcmp(text, "name: x\n") == 0);
    free(text);
    close(pair[0]);
}

static const struct test tests[] = {TEST(fs_read__waits_at_no_pipe),
                                    TEST(fs_read__follows_links_and_takes_what_a_shell_hands_over)};
TEST_MAIN("base.fs", tests)
