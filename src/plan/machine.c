/* What this machine computes fast: decides `precision: auto`, which is resolved before keys are hashed. */
#include "inside.h"

/* A flag is a whole word of the flags line. */
static bool has_flag(const char *cpuinfo, const char *flag)
{
    size_t n = strlen(flag);
    for (const char *p = strstr(cpuinfo, flag); p; p = strstr(p + 1, flag)) {
        bool starts = p == cpuinfo || strchr(" \t:", p[-1]);
        if (starts && strchr(" \t\n", p[n])) return true;
    }
    return false;
}

const char *plan_precision_of(const char *cpuinfo)
{
    static const char *const bf16[] = {"avx512_bf16", "amx_bf16", "bf16" /* Arm */};
    for (size_t i = 0; i < LEN(bf16); i++)
        if (has_flag(cpuinfo, bf16[i])) return "bf16";
    return "fp32";
}

const char *plan_precision(void)
{
    char *text = NULL;
    struct status st = fs_read(&text, NULL, "/proc/cpuinfo");
    const char *name = st.code == STATUS_OK ? plan_precision_of(text) : "fp32";
    free(text);
    return name;
}
