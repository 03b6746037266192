/* Machines whose GPUs the fake driver library tells of, and trials for them. */
#ifndef TESTS_ENGINE_GPUS_H
#define TESTS_ENGINE_GPUS_H

#include "made.h"

/* GPUs as the library shall tell them, and locks of our own. */
static inline void gpus_machine(const char *gpus)
{
    static char dir[400]; /* one: what is told may change while a run looks at it */
    char path[1200];
    if (!dir[0]) snprintf(dir, sizeof dir, "%s", test_dir());
    snprintf(path, sizeof path, "%s/gpus", dir);
    TEST_OK(fs_write(path, gpus, strlen(gpus)));
    setenv("FAKE_NVML", path, 1);
    setenv("SWEEP_GPU_LOCKS", dir, 1);
    snprintf(path, sizeof path, "%s/fake-nvml.so", test_build_dir());
    setenv("SWEEP_NVML", path, 1);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static const char *const gpus_two = "A 16384 16384 8.0\nB 16384 16384 8.0\n";

/* Trials of @p steps times 5 ms, predicted to need so much memory; @p n_stages: 2: trained and evaluated, 6: all. */
static inline struct made *gpus_trials(int n, int steps, double mib, int n_stages)
{
    char act[40];
    struct made *m = made_new();
    snprintf(act, sizeof act, "steps:%d", steps);
    for (int i = 0; i < n; i++) {
        struct plan_trial *t = &m->trials[made_trial(m, json_pack("{s:s}", "fake.train", act))];
        t->n_stages = n_stages;
        m->plan.n_stages = t->stages[n_stages - 1] + 1;
    }
    for (int i = 0; i < m->plan.n_stages; i++) m->stages[i].cost.bytes[0] = mib * (1 << 20);
    return m;
}

static inline struct made *gpus_trainings(int n, int steps, double mib)
{
    return gpus_trials(n, steps, mib, 2);
}

#endif
