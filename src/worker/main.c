/* sweep-worker: what needs tensors, one process a stage. Started by the coordinator; a person rarely types it. */
#include "worker.h"
#include <unistd.h>

static int run_stage(int argc, char **argv)
{
    (void)argc, (void)argv;
    return worker_stage(stdin);
}

static int run_stay(int argc, char **argv)
{
    (void)argc, (void)argv;
    return worker_stay(STDIN_FILENO);
}

static int run_probe(int argc, char **argv)
{
    bool named = argc == 3 && strcmp(argv[1], "--device") == 0;
    if (argc == 1 || named) return worker_probe(stdin, stdout, named ? argv[2] : "cpu");
    fprintf(stderr, "sweep-worker: probe: got \"%s\", expected nothing or --device auto, cpu, cuda or cuda:N\n",
            argv[1]);
    return 2;
}

/* clang-format off */
static const struct command {
    const char *name, *doc, *example;
    int (*run)(int argc, char **argv); /* with the command's name as argv[0] */
} commands[] = {
    {.name = "stage", .run = run_stage, .doc = "one stage: job as JSON on stdin, events as JSON lines on fd 3 (stdout without one)",
     .example = "sweep-worker stage < job.json"},
    {.name = "stay", .run = run_stay, .doc = "stages one after another, each handed over by the coordinator through a socket that is stdin",
     .example = "sweep-worker stay (started by sweep run)"},
    {.name = "probe", .run = run_probe, .doc = "answers JSON requests, a line each, for comparison with reference outputs (--device cuda: on a GPU)",
     .example = "echo '{\"kind\":\"model\",\"arch\":\"unet\",\"backbone\":\"resnet18\",\"size\":[64,64]}' | sweep-worker probe"},
    {.name = "bench-train", .run = worker_bench_train, .doc = "images a second of the training loop on real data",
     .example = "sweep-worker bench-train --data data/heroes --size 256 --batch 4 --steps 20"},
};
/* clang-format on */

static void usage(FILE *to)
{
    fprintf(to, "sweep-worker COMMAND\n\n");
    for (size_t i = 0; i < LEN(commands); i++)
        fprintf(to, "  %-12s %s\n               %s\n", commands[i].name, commands[i].doc, commands[i].example);
    fprintf(to, "\nStages:\n");
    for (const struct stage *s = worker_stages; s->name; s++) fprintf(to, "  %-12s %s\n", s->name, s->doc);
    fprintf(to, "\nExit codes of stage: 0 done, refused or diverged; 1 failed; 2 job not understood; 12 out of memory; "
                "13 its GPU is gone; "
                "75 interrupted, checkpoint written.\n");
}

/* OpenMP has read the environment before main() begins, so what is to be otherwise needs a second start. The
 * coordinator sets it before it starts a worker; this is for workers that a person or a test starts. */
static void start_again_if_needed(char **argv)
{
    char path[4096];
    ssize_t n = cores_wait_asleep() ? readlink("/proc/self/exe", path, sizeof path - 1) : 0;
    if (n <= 0) return;
    path[n] = 0;
    execv(path, argv); /* returns only when it failed; then this process works, less well beside others */
}

int main(int argc, char **argv)
{
    start_again_if_needed(argv);
    const char *names[LEN(commands) + 1] = {NULL};
    for (size_t i = 0; i < LEN(commands); i++) {
        names[i] = commands[i].name;
        if (argc > 1 && strcmp(argv[1], names[i]) == 0) return commands[i].run(argc - 1, argv + 1);
    }
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("sweep-worker %s, libtorch %s\n", SWEEP_VERSION, tensor_torch_version());
        return 0;
    }
    const char *near = argc > 1 ? str_nearest(argv[1], names) : NULL;
    fprintf(stderr, "sweep-worker: got %s%s%s, expected a command%s%s\n\n", argc > 1 ? "\"" : "nothing",
            argc > 1 ? argv[1] : "", argc > 1 ? "\"" : "", near ? "; did you mean " : "", near ? near : "");
    usage(stderr);
    return 2;
}
