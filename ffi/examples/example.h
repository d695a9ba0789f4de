/* What the examples share: what to do when something fails. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <ephapse.h>
#include <stdio.h>
#include <stdlib.h>

/* Goes on if the call has succeeded; otherwise says why not, and ends. */
#define TRY(call)                                                                   \
    do {                                                                            \
        int failed = (call);                                                        \
        if (failed != 0) {                                                          \
            fprintf(stderr, "%s: %s (%s)\n", #call, eph_strerror(failed),           \
                    eph_last_error_message());                                      \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* Joins the domain of $EPHAPSE_DIR, or the user's; hosts its supervisor if it has none. */
static inline eph_hub_t *join(const char *name) {
    eph_hub_t *hub;
    eph_hub_options_t options;

    eph_hub_options_init(&options);
    options.embedded_supervisor = EPH_ON;
    TRY(eph_hub_open_z(name, &options, &hub));
    return hub;
}

#endif
