/* Where the suites that `make test-gpu` runs compute: the CPU, or what TEST_DEVICE names. */
#ifndef SWEEP_TEST_DEVICE_H
#define SWEEP_TEST_DEVICE_H

#include "tensor.h"
#include "test.h"

static inline const char *test_device_name(void)
{
    const char *name = getenv("TEST_DEVICE");
    return name && name[0] ? name : "cpu";
}

static inline struct tensor_device test_device(void)
{
    struct tensor_device d;
    TEST_OK(tensor_pick_device(&d, test_device_name()));
    return d;
}

#endif
