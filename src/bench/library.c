/* Where ONNX Runtime is. */
#include "ort.h"
#include <dlfcn.h>
#include <glob.h>

void *ort_load(const char *lib, int mode)
{
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    return dlopen(lib, mode);
}

/* The first file that matches, in the arena; NULL. */
static const char *match(struct arena *a, const char *pattern)
{
    glob_t g;
    if (glob(pattern, 0, NULL, &g) != 0) return NULL;
    const char *found = arena_strdup(a, g.gl_pathv[0]);
    globfree(&g);
    return found;
}

/* A name without a slash is left to the loader. */
static bool there(const char *lib)
{
    return strchr(lib, '/') ? fs_exists(lib) && !fs_is_dir(lib) : true;
}

struct status bench_ort_library(const char **out, struct arena *a, const char *asked)
{
    const char *env = getenv("ORT_LIB");
    struct {
        const char *lib, *who;
    } said[] = {{asked, "asked for"}, {env, "the environment's ORT_LIB"}};
    for (size_t i = 0; i < LEN(said); i++) {
        if (!said[i].lib || !said[i].lib[0]) continue;
        *out = said[i].lib;
        if (there(*out)) return ok();
        return fail(STATUS_IO, "%s: no such file, %s as ONNX Runtime; expected libonnxruntime.so.*", *out, said[i].who);
    }
    *out = BENCH_ORT_LIB;
    if ((*out)[0] && there(*out)) return ok();
    const char *dir = fs_program_dir();
    static const char *const beside[] = {"", "/../lib", "/../.deps/ort/onnxruntime/capi"};
    for (size_t i = 0; i < LEN(beside); i++) {
        *out = match(a, arena_printf(a, "%s%s/libonnxruntime.so*", dir, beside[i]));
        if (*out) return ok();
    }
    *out = "libonnxruntime.so.1";
    void *lib = ort_load(*out, RTLD_LAZY | RTLD_LOCAL);
    if (lib) {
        dlclose(lib);
        return ok();
    }
    return fail(STATUS_IO,
                "no ONNX Runtime found: tried %s, beside %s, and the system's %s; install it with pip (onnxruntime) or "
                "give its libonnxruntime.so with --ort-lib or ORT_LIB",
                BENCH_ORT_LIB[0] ? BENCH_ORT_LIB : "no place known to the build", dir, *out);
}
