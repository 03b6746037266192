/* How many cores there are for us. */
#include "test.h"
#include <sched.h>

static void cores_of_quota__reads_a_group_s_limit(void)
{
    static const struct {
        const char *text;
        int cores;
    } cases[] = {{"max 100000", 0}, {"150000 100000", 2}, {"400000 100000", 4}, {"50000 100000", 1}, {"-1 100000", 0},
                 {"", 0},           {"x y", 0},           {"100000", 0},        {"1 0", 0},          {" ", 0}};
    for (size_t i = 0; i < LEN(cases); i++) CU_ASSERT_EQUAL(cores_of_quota(cases[i].text), cases[i].cores);
}

static void cores_usable__is_what_affinity_and_a_job_leave(void)
{
    cpu_set_t all, one;
    CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof all, &all), 0);
    unsetenv("SLURM_CPUS_ON_NODE");
    int before = cores_usable();
    CU_ASSERT_TRUE(before >= 1 && before <= CPU_COUNT(&all));
    setenv("SLURM_CPUS_ON_NODE", "1", 1);
    CU_ASSERT_EQUAL(cores_usable(), 1);
    static const char *const meaningless[] = {"0", "-2", "many", "99999"};
    for (size_t i = 0; i < LEN(meaningless); i++) {
        setenv("SLURM_CPUS_ON_NODE", meaningless[i], 1);
        CU_ASSERT_EQUAL(cores_usable(), before);
    }
    unsetenv("SLURM_CPUS_ON_NODE");
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
    CU_ASSERT_EQUAL(cores_usable(), 1);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof all, &all), 0);
}

/* What the user has said stays; where OMP_WAIT_POLICY says it all, nothing is added. */
static void cores_wait_asleep__sets_what_nobody_has_set(void)
{
    unsetenv("OMP_WAIT_POLICY");
    unsetenv("KMP_BLOCKTIME");
    setenv("GOMP_SPINCOUNT", "77", 1);
    CU_ASSERT_TRUE(cores_wait_asleep());
    CU_ASSERT_STRING_EQUAL(getenv("GOMP_SPINCOUNT"), "77");
    CU_ASSERT_PTR_NOT_NULL(getenv("KMP_BLOCKTIME"));
    CU_ASSERT_FALSE(cores_wait_asleep()); /* or a worker would start itself again and again */
    unsetenv("GOMP_SPINCOUNT");
    setenv("OMP_WAIT_POLICY", "active", 1);
    CU_ASSERT_FALSE(cores_wait_asleep());
    CU_ASSERT_PTR_NULL(getenv("GOMP_SPINCOUNT"));
    unsetenv("OMP_WAIT_POLICY");
    CU_ASSERT_TRUE(cores_wait_asleep());
    CU_ASSERT_PTR_NOT_NULL(getenv("GOMP_SPINCOUNT"));
}

static const struct test tests[] = {
    TEST(cores_of_quota__reads_a_group_s_limit),
    TEST(cores_usable__is_what_affinity_and_a_job_leave),
    TEST(cores_wait_asleep__sets_what_nobody_has_set),
};
TEST_MAIN("base.cores", tests)
