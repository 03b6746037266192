/* A Slurm of one node for the tests: its daemons are children of the test, its files lie in a folder of the test. */
#ifndef TESTS_CLI_ONE_NODE_H
#define TESTS_CLI_ONE_NODE_H

#include "test.h"
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct cluster {
    char dir[400];
    pid_t pids[2];
    bool up;
};
static struct cluster cluster;

static inline void cluster_nap(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static inline int cluster_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && getsockname(fd, (struct sockaddr *)&at, &n) == 0)
        port = ntohs(at.sin_port);
    if (fd >= 0) close(fd);
    return port;
}

static inline void cluster_down(void)
{
    for (size_t i = 0; i < LEN(cluster.pids); i++)
        if (cluster.pids[i] > 0) kill(cluster.pids[i], SIGTERM);
    for (size_t i = 0; i < LEN(cluster.pids); i++)
        if (cluster.pids[i] > 0) waitpid(cluster.pids[i], NULL, 0);
}

static inline pid_t cluster_start(const char *program, const char *log)
{
    pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!freopen(log, "w", stdout) || dup2(fileno(stdout), STDERR_FILENO) < 0) _exit(126);
    execlp(program, program, "-D", (char *)NULL);
    _exit(127);
}

static inline void cluster_configure(void)
{
    char host[256] = "", path[500];
    const struct passwd *me = getpwuid(geteuid());
    struct str conf = {0};
    gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = 0;
    str_addf(&conf,
             "ClusterName=test\nSlurmctldHost=%s(127.0.0.1)\nSlurmctldPort=%d\nSlurmdPort=%d\n"
             "SlurmUser=%s\nSlurmdUser=%s\nAuthType=auth/none\nCredType=cred/none\nAuthInfo=cred_expire=5\n",
             host, cluster_port(), cluster_port(), me ? me->pw_name : "root", me ? me->pw_name : "root");
    static const char *const files[] = {"SlurmctldPidFile=%s/c.pid\n", "SlurmdPidFile=%s/d.pid\n",
                                        "SlurmctldLogFile=%s/c.log\n", "SlurmdLogFile=%s/d.log\n",
                                        "SlurmdSpoolDir=%s/spool\n",   "StateSaveLocation=%s/state\n"};
    for (size_t i = 0; i < LEN(files); i++) {
        const char *at = strstr(files[i], "%s");
        str_addf(&conf, "%.*s%s%s", (int)(at - files[i]), files[i], cluster.dir, at + 2);
    }
    str_addf(&conf,
             "MpiDefault=none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nReturnToService=2\n"
             "SchedulerType=sched/builtin\nSchedulerParameters=sched_interval=1,batch_sched_delay=0\n"
             "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nJobAcctGatherType=jobacct_gather/none\n"
             "AccountingStorageType=accounting_storage/none\nSlurmdParameters=config_overrides\nKillWait=20\n"
             "MaxArraySize=8\nNodeName=%s NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 State=UNKNOWN\n"
             "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n",
             host);
    snprintf(path, sizeof path, "%s/slurm.conf", cluster.dir);
    TEST_OK(fs_write(path, conf.s, conf.n));
    setenv("SLURM_CONF", path, 1);
    str_free(&conf);
}

/** Up, once a test program. False: it is not installed, or does not come up; said why. */
static inline bool cluster_up(void)
{
    char path[600], log[500];
    if (cluster.up) return true;
    snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    if (system("command -v slurmctld slurmd sbatch >/dev/null") != 0) {
        fprintf(stderr,
                "Slurm is not installed, and this test is about it: apt-get install slurm-wlm (.ci/setup does)\n");
        return false;
    }
    snprintf(cluster.dir, sizeof cluster.dir, "%s", test_dir());
    cluster_configure();
    static const char *const folders[] = {"spool", "state"}, *const daemons[] = {"slurmctld", "slurmd"};
    for (size_t i = 0; i < LEN(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", cluster.dir, folders[i]);
        TEST_OK(fs_mkdir(path));
        snprintf(log, sizeof log, "%s/%s.out", cluster.dir, daemons[i]);
        cluster.pids[i] = cluster_start(daemons[i], log);
    }
    atexit(cluster_down);
    for (int i = 0; i < 300 && !cluster.up; i++, cluster_nap(200))
        cluster.up = system("timeout 5 sinfo -h -t idle -o %n 2>/dev/null | grep -q .") == 0;
    if (!cluster.up) {
        fprintf(stderr, "Slurm does not come up; its last words:\n");
        snprintf(path, sizeof path, "tail -n 5 '%s'/*.log '%s'/*.out >&2", cluster.dir, cluster.dir);
        if (system(path) != 0) fprintf(stderr, "none\n");
    }
    return cluster.up;
}

#endif
