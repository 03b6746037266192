/* Scripts to files, files through gnuplot, once a picture format. */
#include "inside.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits for gnuplot in @p dir; the first line that it complained with goes into the status. */
static struct status run(const char *program, const char *dir, const char *format, const char *script)
{
    int pipe_fd[2];
    if (pipe(pipe_fd) != 0) return fail(STATUS_IO, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fd[1], 2);
        close(pipe_fd[0]);
        close(pipe_fd[1]);
        char define[40];
        snprintf(define, sizeof define, "fmt='%s'", format);
        if (chdir(dir) == 0) execlp(program, program, "-e", define, script, (char *)NULL);
        _exit(127);
    }
    close(pipe_fd[1]);
    struct str said = {0};
    char chunk[512];
    ssize_t got;
    while ((got = read(pipe_fd[0], chunk, sizeof chunk)) > 0) str_addn(&said, chunk, (size_t)got);
    close(pipe_fd[0]);
    int state = 0;
    if (pid < 0 || waitpid(pid, &state, 0) < 0) state = 127 << 8;
    struct status s = ok();
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
        s = fail(STATUS_IO, "%s is not there; install it (apt install gnuplot-nox) and write the report again",
                 program);
    else if (state != 0)
        s = fail(STATUS_IO, "%s %s: %s", program, script, said.n ? said.s + strspn(said.s, "\n") : "failed");
    str_free(&said);
    return s;
}

const char *plots_dir(struct report *r)
{
    return fs_join(&r->arena, r->o->dir, "plots");
}

struct status write_plots(struct report *r, struct report_written *out)
{
    const char *dir = plots_dir(r), *program = r->o->gnuplot ? r->o->gnuplot : "gnuplot";
    TRY(fs_mkdir(dir));
    for (const struct plot_kind *k = plot_kinds; k->name; k++) {
        static const char *const formats[] = {"svg", "png", "gp"};
        for (size_t i = 0; i < LEN(formats); i++) /* of an earlier report with other cells */
            remove(fs_join(&r->arena, dir, arena_printf(&r->arena, "%s.%s", k->name, formats[i])));
        struct str gp = {0};
        bool drawn = k->script(r, &gp);
        const char *script = arena_printf(&r->arena, "%s.gp", k->name);
        struct status s = drawn ? fs_write(fs_join(&r->arena, dir, script), gp.s, gp.n) : ok();
        str_free(&gp);
        TRY(s);
        if (!drawn || *out->missing) continue;
        s = run(program, dir, "svg", script);
        if (s.code == STATUS_OK) s = run(program, dir, "png", script);
        if (s.code == STATUS_OK)
            out->plots++;
        else
            snprintf(out->missing, sizeof out->missing, "%s", s.msg);
    }
    return ok();
}
