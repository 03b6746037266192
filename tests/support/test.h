/* One suite a file: name the tests in a table, end the file with TEST_MAIN. CUnit runs them; exit 1 on any failure. */
#ifndef SWEEP_TEST_H
#define SWEEP_TEST_H

#include "base.h"
#include <CUnit/Basic.h>
#include <math.h>

struct test {
    const char *name; /* room_topic__what_holds */
    void (*run)(void);
};
int test_main(const char *suite, const struct test *t, size_t n, int argc, char **argv);
#define TEST(f)                                                                                                        \
    {                                                                                                                  \
#f, f                                                                                                          \
    }
#define TEST_MAIN(suite, tests)                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return test_main(suite, tests, LEN(tests), argc, argv);                                                        \
    }

/** Fails the test with the status's message when it is not success. */
#define TEST_OK(expr)                                                                                                  \
    do {                                                                                                               \
        struct status test_s_ = (expr);                                                                                \
        if (test_s_.code != STATUS_OK) {                                                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, test_s_.msg);                                           \
            CU_FAIL(#expr);                                                                                            \
        }                                                                                                              \
    } while (0)
/** Fails unless the status has this code and its message contains @p part. */
#define TEST_FAILS(expr, want, part)                                                                                   \
    do {                                                                                                               \
        struct status test_s_ = (expr);                                                                                \
        if (test_s_.code != (want) || !strstr(test_s_.msg, part)) {                                                    \
            fprintf(stderr, "%s:%d: got %s \"%s\"\n", __FILE__, __LINE__, status_name(test_s_.code), test_s_.msg);     \
            CU_FAIL(#expr);                                                                                            \
        }                                                                                                              \
    } while (0)

/** True in a build with AddressSanitizer, where times mean little. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_SANITIZED true
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED false
#endif

/** The larger magnitude; HUGE_VAL from the first on that is no number, which fmax() would pass over. */
static inline double test_worst(double worst, double v)
{
    double size = v < 0 ? -v : v;
    return size < HUGE_VAL ? size > worst ? size : worst : HUGE_VAL;
}

/** A fresh folder that is removed when the test program ends; borrowed. */
const char *test_dir(void);
/** Folder of the shared fixtures (SWEEP_SHARED or ../shared beside the source tree); when absent NULL, and skipped. */
const char *test_shared(void);
/** Says that something cannot be checked here: the suite then counts as skipped, unless it fails. */
void test_skip(const char *why);
/** The build and source folders; the programs lie in the first. */
const char *test_build_dir(void);
const char *test_source_dir(void);

#endif
