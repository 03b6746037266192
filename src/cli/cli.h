/*
 * cli: the program `sweep`. A table of commands, a table of options; parsing, help, did-you-mean come from the tables.
 * Links no libtorch.
 */
#ifndef SWEEP_CLI_H
#define SWEEP_CLI_H

#include "base.h"

/** The whole program. Returns its exit status: 0 done, 1 some trial failed or the run was stopped, 2 usage or
 *  configuration. */
int cli_main(int argc, char **argv);

#endif
