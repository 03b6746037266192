/* Where the runtimes are. */
#include "runtime.h"
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

/* clang-format off */
static const struct {
    const char *name, *env, *built, *file, *wheel, *system, *installed, *get;
} libraries[] = {
    [BENCH_ORT] = {.name = "ONNX Runtime", .env = "ORT_LIB", .built = BENCH_ORT_LIB, .file = "libonnxruntime.so*",
                   .wheel = ".deps/ort/onnxruntime/capi", .system = "libonnxruntime.so.1",
                   .installed = "onnxruntime/libonnxruntime.so*",
                   .get = "install it with pip (onnxruntime) or give its libonnxruntime.so with --ort-lib or ORT_LIB"},
    [BENCH_LITERT] = {.name = "LiteRT", .env = "LITERT_LIB", .built = BENCH_LITERT_LIB, .file = "libLiteRt.so",
                      .wheel = ".deps/litert/ai_edge_litert", .system = "libLiteRt.so",
                      .installed = "ai_edge_litert/libLiteRt.so",
                      .get = "install it with pip (ai-edge-litert) or give its libLiteRt.so with LITERT_LIB"},
};
/* clang-format on */

struct status bench_library(const char **out, struct arena *a, enum bench_runtime runtime, const char *asked)
{
    const char *name = libraries[runtime].name, *env = libraries[runtime].env, *built = libraries[runtime].built;
    struct {
        const char *lib, *who;
    } said[] = {{asked, "asked for"}, {getenv(env), arena_printf(a, "the environment's %s", env)}};
    for (size_t i = 0; i < LEN(said); i++) {
        if (!said[i].lib || !said[i].lib[0]) continue;
        *out = said[i].lib;
        if (there(*out)) return ok();
        return fail(STATUS_IO, "%s: no such file, %s as %s; expected %s", *out, said[i].who, name,
                    libraries[runtime].file);
    }
    const char *dir = fs_program_dir();
    *out = match(a, arena_printf(a, "%s/../lib/sweep/%s", dir, libraries[runtime].installed));
    if (*out) return ok();
    *out = built;
    if ((*out)[0] && there(*out)) return ok();
    const char *const beside[] = {"", "/../lib", arena_printf(a, "/../%s", libraries[runtime].wheel)};
    for (size_t i = 0; i < LEN(beside); i++) {
        *out = match(a, arena_printf(a, "%s%s/%s", dir, beside[i], libraries[runtime].file));
        if (*out) return ok();
    }
    *out = libraries[runtime].system;
    void *lib = ort_load(*out, RTLD_LAZY | RTLD_LOCAL);
    if (lib) {
        dlclose(lib);
        return ok();
    }
    return fail(STATUS_IO, "no %s found: tried %s, beside %s, and the system's %s; %s", name,
                built[0] ? built : "no place known to the build", dir, *out, libraries[runtime].get);
}

const char *library_version_beside(struct arena *a, const char *lib)
{
    const char *dir = fs_dirname(a, lib), *mark = "ai_edge_litert-";
    const char *found = match(a, arena_printf(a, "%s/../%s*.dist-info", dir, mark));
    if (!found) return "unknown";
    const char *version = strstr(found, mark) + strlen(mark);
    return arena_printf(a, "%.*s", (int)(strlen(version) - strlen(".dist-info")), version);
}
