/* ephapse.h - events between the processes of one Linux host, at the speed of a cache line.
 *
 * MIT or Apache-2.0, as you like.
 *
 *     #include <ephapse.h>
 *
 *     struct pose { uint64_t stamp_ns; double position[3]; float heading; };
 *
 * One process publishes:
 *
 *     struct pose pose = {1, {0.0, 1.0, 2.0}, 0.5f};
 *     eph_hub_t *hub;
 *     eph_publisher_t *poses;
 *
 *     if (eph_hub_open_z("camera", NULL, &hub) != 0 ||
 *         eph_publisher_open_z(hub, "robot.pose", EPH_RAW, &poses) != 0 ||
 *         eph_publish(poses, &pose, sizeof pose, EPH_FOREVER, NULL) != 0) {
 *         die(eph_last_error_message());
 *     }
 *
 * Another one subscribes:
 *
 *     eph_hub_t *hub;
 *     eph_subscription_t *sub;
 *     eph_event_t event = {0};
 *
 *     if (eph_hub_open_z("planner", NULL, &hub) != 0 ||
 *         eph_subscribe_z(hub, "robot.>", NULL, &sub) != 0) {
 *         die(eph_last_error_message());
 *     }
 *     while (eph_subscription_next(sub, EPH_FOREVER, &event) == 0) {
 *         if (eph_event_is(&event, EPH_RAW, sizeof(struct pose))) {
 *             const struct pose *pose = (const struct pose *)event.data; // in shared memory,
 *             steer(pose->position, pose->heading);                      // until the next
 *         }
 *     }
 *
 * Both find a supervisor that somebody runs: `ephapse up`. They are built with
 * `cc main.c $(pkg-config --cflags --libs ephapse)`, or with CMake: find_package(ephapse), and
 * target_link_libraries(main ephapse::ephapse), or ephapse::static. Whole programs are in
 * ffi/examples.
 *
 *
 * WORDS
 *
 *   hub           one participant: a name, what it publishes and subscribes to, its links
 *   supervisor    the small process (or thread) that hubs find over a Unix socket; it introduces
 *                 them to one another and never sees an event
 *   domain        one supervisor and its hubs: a directory with a socket
 *   ring          a sequence of records in shared memory, with one writer and any number of readers
 *   link          a pair of rings between two hubs, one each way
 *   broadcast     the ring that a hub owns and all others read: for what goes over no link
 *   event         a record on a ring: a small header, and the payload: bytes
 *   subject       what an event is about: 1 to 16 tokens divided by dots, "robot.arm.pose"
 *   pattern       a subject in which "*" stands for one token, and ">" at the end for the rest
 *   schema        a number that says how to read a payload, see SCHEMAS below
 *   handle        what stands for something of the library's: eph_hub_t *, and so on
 *
 *
 * THE LIFE OF A HUB
 *
 *   1. Somebody runs a supervisor: the command `ephapse up`, eph_supervisor_start(), or the first
 *      hub that has the option embedded_supervisor.
 *   2. eph_hub_open() joins its domain under a name that nobody else has.
 *   3. eph_publisher_open(), eph_subscribe(), eph_link_to() give handles of their own. Each may be
 *      used on another thread than the hub, and outlive it: they then say EPH_ECLOSED.
 *   4. Events go over links while those who want them are few and linked, otherwise once over the
 *      broadcast. Nothing is lost, repeated or reordered by a change of the way.
 *   5. Everything is freed by the function that has _free in its name, in any order. What has given
 *      an event or a loan must have it back before. Death of a process is seen at once by the
 *      others, and leaves nothing behind.
 *   A supervisor may die: links and subscriptions go on, and hubs find the next one.
 *
 *
 * CALLS
 *
 *   - A function that can fail returns int: 0, or one of the negative numbers EPH_E… below.
 *     eph_strerror() says what a number means, eph_last_error_message() what happened this time.
 *   - Unless it says otherwise a call that failed has changed nothing, and may be repeated when its
 *     cause is gone.
 *   - A function waits only if it has a time-out, or says that it waits. For the supervisor's answer
 *     it waits no longer than 5 s: EPH_ETIMEDOUT. What does not wait makes some system calls at
 *     most, and if it is marked [rt] hardly any: see THREADS.
 *   - Results come last, as pointers. After an error they are 0, NULL, or a struct of zeros. A result
 *     that may be NULL says so.
 *   - Every function may return these, which are not listed again:
 *       EPH_EINVAL     an argument is not possible: NULL, misaligned, not UTF-8, out of range
 *       EPH_EHANDLE    the handle is of another kind, was freed, or never was one
 *       EPH_EBUSY      see THREADS
 *       EPH_EFORKED    see FORK
 *       EPH_EINTERNAL  a fault of the library, which no caller can bring about; what it was about
 *                      can still be freed
 *   - Times are int64_t, in nanoseconds. A time-out of 0 (EPH_NOW) does not wait, -1 (EPH_FOREVER)
 *     waits as long as it takes, other negative numbers are EPH_EINVAL. Where the time-out is
 *     over, the call says EPH_ETIMEDOUT, or (when sending) EPH_EFULL.
 *   - Texts are UTF-8, a pointer and a length; functions that end in _z take a text that ends with
 *     a zero. Texts that the library gives are no such texts, unless it says so. The library
 *     copies what it needs: nothing that is passed in must live longer than the call.
 *   - Structs of options begin with their size. eph_…_init() sets it, and zeros elsewhere; zero is
 *     always the default. NULL in the place of options: all defaults.
 *   - The library never prints, installs no signal handlers, and starts threads that block all
 *     signals: one in each process that has hubs, one for each supervisor, one that makes sleep
 *     certain, and one that wakes listeners where a subject has more than eight. Only if the library
 *     itself is at fault may Rust's runtime write to standard error.
 *
 *
 * THREADS
 *
 *   A handle belongs to one thread at a time; different handles may be used at the same time, also
 *   those of one hub. Hand-over needs what all hand-over needs: the second thread must come after
 *   the first (a mutex, a queue). An event or loan belongs, while it is out, to the handle that gave
 *   it: until it is given back, that handle's functions say EPH_EBUSY.
 *   Used against the rules, a handle that is in use by another thread gives EPH_EBUSY, as does one
 *   that is used from a function that it is calling at the moment. Nothing is broken by that.
 *   Of a closer (eph_closer_t) each thread should have its own; it is the one thing that is
 *   made to be used while another thread waits.
 *   The last error is kept for each thread.
 *
 *   SIGNAL HANDLERS may call eph_version(), eph_abi() and eph_strerror(), and nothing else.
 *
 *   REAL-TIME THREADS: functions marked [rt] take no lock and allocate nothing when their time-out
 *   is 0; their only system call is a write(2) to a pipe, when somebody who sleeps is to be woken.
 *   The exceptions are said at the function.
 *
 *
 * FORK
 *
 *   A forked child gets EPH_EFORKED for every handle that it has inherited, also from _free
 *   functions: it leaves them alone, and their memory goes with it. What events pointed to is not
 *   mapped in the child: it must not look at data of events or loans. It may open hubs of its own.
 *   The parent is not disturbed.
 *
 *
 * TRUST
 *
 *   Every byte of shared memory has one process that may write it, and the kernel sees to that: what
 *   a hub does wrong damages no other hub. Processes of the same user could attach debuggers to
 *   one another, so their payloads are read in place. Those of other users, and with
 *   EPH_PAYLOADS_COPIED all, are copied before you see them. Only with a copy can you check
 *   something and rely on it afterwards. A payload in C is bytes: check lengths and offsets in it
 *   as you would for bytes from a network.
 *
 *
 * SCHEMAS
 *
 *   An event carries a number of 64 bits that says what its payload is; EPH_RAW (0) if nobody says.
 *   eph_schema() computes the number that Rust's #[derive(Event)] has for the same type, from the
 *   event's name, its version, and the layout of its type as text. A Rust type and a C struct whose
 *   schemas are equal have the same bytes if the type is flat (has no string, vec or box in it).
 *   A mismatch is refused: in Rust by get(), in C by eph_event_check().
 *
 *   #[derive(Event, Archive, Serialize)]             struct pose {
 *   struct Pose {                                        uint64_t stamp_ns;
 *       stamp_ns: u64, position: [f64; 3],               double position[3];
 *       heading: f32,                                    float heading;
 *   }                                                };
 *
 *   name "Pose", version 1 (what Rust has unless it says #[event(name = …, version = …)]), layout
 *   "Pose{stamp_ns:u64,position:[f64;3],heading:f32}"
 *
 *     layout  =  number | struct | tuple | array | enum | "option<" layout ">" | "string"
 *              | "vec<" layout ">" | "box<" layout ">" | "str" | "[" layout "]"
 *     number  =  "bool" | "char" | "u8" … "u128" | "i8" … "i128" | "f32" | "f64"
 *     struct  =  Name "{" field ":" layout { "," field ":" layout } "}"     fields with names
 *              | Name "(" layout { "," layout } ")"                         without
 *              | Name                                                       none
 *     tuple   =  "()" | "(" layout ",)" | "(" layout { "," layout } ")"
 *     array   =  "[" layout ";" length "]"
 *     enum    =  "enum " Name "{" variant { "," variant } "}"
 *     variant =  Name, or any struct; "=" and its number behind it, if it has one
 *
 *   Nested types are spelled out in full. There is no white space but the blank after "enum".
 *   In C: numbers have their natural alignment (__int128 16 bytes), a bool is a uint8_t of 0 or 1, a
 *   char a uint32_t, an enum without fields a uint8_t that counts from 0; an enum with fields or an
 *   option is such a tag followed by the fields of its variant, all in one struct.
 *
 *
 * LIMITS
 *
 *   name of a hub: 1 to 64 of A-Z a-z 0-9 . _ -          subject: 255 bytes, 16 tokens
 *   ring: 4 KiB to 1 GiB, a power of two                 payload: half of its ring, less 32 bytes
 *   patterns of a subscription: 32                       handles of a process: 65536
 */
#ifndef EPHAPSE_H
#define EPHAPSE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * Versions
 */

#define EPH_VERSION_MAJOR 0
#define EPH_VERSION_MINOR 1
#define EPH_VERSION_PATCH 0
#define EPH_VERSION ((EPH_VERSION_MAJOR << 16) | (EPH_VERSION_MINOR << 8) | EPH_VERSION_PATCH)

/* The number of the binary interface: it is in the name that the loader looks for
 * (libephapse.so.0), and passed to the functions with which everything begins. */
#define EPH_ABI 0u

/* EPH_VERSION of the library. Never fails. [rt] */
uint32_t eph_version(void);

/* EPH_ABI of the library. Never fails. [rt] */
uint32_t eph_abi(void);

/* ---------------------------------------------------------------------------------------------
 * Errors
 *
 * A number is never given to another error.
 */

#define EPH_OK (0)
#define EPH_EINVAL (-1)        /* an argument is not possible; the message says which */
#define EPH_EHANDLE (-2)       /* not a handle, of another kind, or freed */
#define EPH_EBUSY (-3)         /* in use: see THREADS */
#define EPH_EFORKED (-4)       /* inherited by fork: see FORK */
#define EPH_EABI (-5)          /* compiled for another EPH_ABI, or an option that is not known */
#define EPH_EINTERNAL (-6)     /* a fault of the library */
#define EPH_ETIMEDOUT (-7)     /* nothing came, or nobody answered, in time */
#define EPH_ECLOSED (-8)       /* the own hub is closed or freed: nothing more will come */
#define EPH_EFULL (-9)         /* no room in the ring, in time: who reads is behind */
#define EPH_ETOOLARGE (-10)    /* can never fit: the ring, the buffer, the extension */
#define EPH_EPEERGONE (-11)    /* the other process, or its hub, is gone */
#define EPH_ELINKCLOSED (-12)  /* the other side, or this one, has closed the link */
#define EPH_ECORRUPT (-13)     /* another hub's ring holds what no hub writes; it is read no more */
#define EPH_ELAGGED (-14)      /* events have been missed: eph_last_missed() says how many */
#define EPH_ESCHEMA (-15)      /* the event is of another schema */
#define EPH_EPAYLOAD (-16)     /* the payload is no value of the type */
#define EPH_ENORESPONDERS (-17) /* nobody has subscribed to the subject of the request */
#define EPH_ENOTREQUEST (-18)  /* the event expects no reply */
#define EPH_ENOSUPERVISOR (-19) /* nobody listens on the domain's socket */
#define EPH_ERUNNING (-20)     /* the domain has a supervisor already */
#define EPH_EFOREIGNDIR (-21)  /* the domain's directory belongs to another user */
#define EPH_EOPENDIR (-22)     /* others may enter the domain's directory: it must have mode 0700 */
#define EPH_EDIRECTORY (-23)   /* the domain's directory cannot be used */
#define EPH_EVERSION (-24)     /* the supervisor speaks another version of the protocol */
#define EPH_EPROTOCOL (-25)    /* another process does not keep to the protocol */
#define EPH_EDISCONNECTED (-26) /* the connection to the supervisor is lost; links go on */
#define EPH_ESEGMENT (-27)     /* shared memory could not be made, or was not accepted */
#define EPH_EKERNEL (-28)      /* a kernel call failed: no descriptors left, mostly */
#define EPH_ELIMIT (-29)       /* a limit is reached; the message says which */
#define EPH_EREFUSED (-30)     /* the supervisor or the other hub could not do its part */
#define EPH_ENAME (-31)        /* no hub can have the name */
#define EPH_ESUBJECT (-32)     /* not a subject, or not a pattern */
#define EPH_ENAMETAKEN (-33)   /* another hub has the name */
#define EPH_ENOHUB (-34)       /* no hub has the name */
#define EPH_ESAMEHUB (-35)     /* a hub cannot have a link with itself */
#define EPH_ELINKED (-36)      /* the two hubs have a link already */
#define EPH_EDECLINED (-37)    /* the other hub does not want the link */
#define EPH_EHUBGONE (-38)     /* the other hub went away in between */

/* What a number means, in a few words; ends with a zero, and is always valid. Never NULL. [rt] */
const char *eph_strerror(int code);

/* What the last call of this thread that failed has to say, ends with a zero. Valid until the next
 * call of this thread fails, or the thread ends. Never NULL. Never fails. Calls that time out or find
 * a ring full say no more than eph_strerror() does: so that they cost nothing. */
const char *eph_last_error_message(void);

/* Events that were missed, after EPH_ELAGGED in this thread: of all subjects of that publisher's hub,
 * those that you wanted among them. Never fails. */
uint64_t eph_last_missed(void);

/* The number of the link that is over, after EPH_EPEERGONE, EPH_ELINKCLOSED or EPH_ECORRUPT of
 * eph_hub_take() in this thread. Never fails. */
uint64_t eph_last_link(void);

/* ---------------------------------------------------------------------------------------------
 * Handles and constants
 *
 * A handle is a number in the form of a pointer. There is nothing where it points to.
 */

typedef struct eph_supervisor eph_supervisor_t;
typedef struct eph_hub eph_hub_t;
typedef struct eph_closer eph_closer_t;
typedef struct eph_link eph_link_t;
typedef struct eph_publisher eph_publisher_t;
typedef struct eph_subscription eph_subscription_t;

#define EPH_NOW ((int64_t)0)
#define EPH_FOREVER ((int64_t)-1)

#define EPH_RAW ((uint64_t)0) /* the schema of bytes of which nothing is said */

#define EPH_ON 1  /* of options that are neither by default */
#define EPH_OFF 2

#define EPH_WAIT_DEFAULT 0  /* EPH_WAIT_ADAPTIVE with 50 µs; of subscriptions: as the hub */
#define EPH_WAIT_SPIN 1     /* look again at once, for ever: lowest latency, one core fully used */
#define EPH_WAIT_BACKOFF 2  /* spin, then give the core to others between looks */
#define EPH_WAIT_BLOCK 3    /* sleep at once */
#define EPH_WAIT_ADAPTIVE 4 /* spin for spin_ns, then sleep */

#define EPH_PAYLOADS_BY_TRUST 0 /* in place from the same user, copied from others */
#define EPH_PAYLOADS_COPIED 1   /* copied from everybody */

#define EPH_FLOW_BLOCK 0       /* a publisher that is faster waits: nothing is lost */
#define EPH_FLOW_DROP_OLDEST 1 /* it goes on, and the oldest events are lost: EPH_ELAGGED */

#define EPH_PATH_NOBODY 0    /* nobody wants it, and nothing was written */
#define EPH_PATH_LINKS 1     /* over the links with those who want it */
#define EPH_PATH_BROADCAST 2 /* over the hub's broadcast ring */

/* ---------------------------------------------------------------------------------------------
 * Schemas
 */

/* The schema of an event type, as Rust computes it: see SCHEMAS.
 *
 *   name, layout   in: texts      version   in      schema   out
 *
 * EPH_EINVAL also if the layout has white space where none can be. Does not wait. Hubs describe what
 * they publish: `ephapse schema list` shows name and layout of schemas that were computed here before
 * the publisher was opened. `ephapse schema show --c` prints the struct for a layout, with offsets
 * that the compiler checks. */
int eph_schema(const char *name, size_t name_len, uint32_t version, const char *layout,
               size_t layout_len, uint64_t *schema);

/* ---------------------------------------------------------------------------------------------
 * Supervisor
 */

/* Starts a supervisor in a thread of this process.
 *
 *   abi         in: EPH_ABI
 *   directory   in: the domain's directory, made with mode 0700 if it is not there; of length 0:
 *               $EPHAPSE_DIR, else $XDG_RUNTIME_DIR/ephapse, else /run/user/UID/ephapse, else
 *               /tmp/ephapse-UID
 *   supervisor  out: to be freed with eph_supervisor_free()
 *
 * EPH_EABI; EPH_ERUNNING; EPH_EFOREIGNDIR, EPH_EOPENDIR, EPH_EDIRECTORY; EPH_EKERNEL. Nothing stays
 * behind then. Some system calls; does not wait for anybody. */
int eph_supervisor_start(uint32_t abi, const char *directory, size_t directory_len,
                         eph_supervisor_t **supervisor);

/* Stops it and waits for its thread, some milliseconds at most. Hubs keep their links and
 * subscriptions, and look for the next one. NULL is allowed. */
int eph_supervisor_free(eph_supervisor_t *supervisor);

/* ---------------------------------------------------------------------------------------------
 * Hub
 */

typedef struct eph_hub_options {
    size_t size;
    const char *directory;       /* the domain's; NULL: see eph_supervisor_start() */
    size_t directory_len;
    int32_t wait;                /* EPH_WAIT_…: how the hub and its subscriptions wait */
    int32_t timestamps;          /* EPH_ON (default), EPH_OFF: about 10 ns an event */
    int64_t spin_ns;             /* of EPH_WAIT_ADAPTIVE; 50 µs */
    int32_t embedded_supervisor; /* EPH_ON: host one in a thread, if the domain has none; EPH_OFF */
    int32_t payloads;            /* EPH_PAYLOADS_… */
    uint64_t largest_ring;       /* bytes of a ring that others may have it make; 256 MiB */
    uint64_t broadcast_capacity; /* bytes of its broadcast ring; 256 KiB */
    int64_t patience_ns;         /* how long a subscription may hold it up; 1 s */
    int32_t links_for;           /* hubs that an event is sent to over links at most; 4, -1: none */
    int32_t reserved;
} eph_hub_options_t;

static inline void eph_hub_options_init(eph_hub_options_t *options) {
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Joins a domain.
 *
 *   abi       in: EPH_ABI
 *   name      in: unlike those of all other hubs of the domain
 *   options   in: NULL for defaults
 *   hub       out: to be freed with eph_hub_free()
 *
 * EPH_EABI; EPH_ENOSUPERVISOR; EPH_EFOREIGNDIR, EPH_EOPENDIR, EPH_EDIRECTORY; EPH_ENAME,
 * EPH_ENAMETAKEN; EPH_EVERSION, EPH_EPROTOCOL; EPH_ETIMEDOUT (the supervisor hangs),
 * EPH_EDISCONNECTED (it ends at this moment), EPH_ESEGMENT, EPH_EKERNEL, EPH_ELIMIT. Nothing stays
 * behind then. Waits for the supervisor, about 1 ms. */
int eph_hub_open(uint32_t abi, const char *name, size_t name_len, const eph_hub_options_t *options,
                 eph_hub_t **hub);

/* Closes its links, its broadcast ring, and frees its name. NULL is allowed. EPH_EBUSY: it has given
 * an event that has not been released, and is not freed. Its publishers, subscriptions and links stay
 * handles, which say EPH_ECLOSED and are to be freed. Waits until the supervisor has heard of it, so
 * that the name can be used again (half a second at most), and for the thread of the embedded
 * supervisor if it has one. */
int eph_hub_free(eph_hub_t *hub);

/* The domain's number for it, out: never given to another hub. [rt] */
int eph_hub_id(eph_hub_t *hub, uint64_t *id);

/* Something to end waiting with, from another thread: out, to be freed with eph_closer_free(). Each
 * thread should have its own. EPH_ELIMIT. */
int eph_hub_closer(eph_hub_t *hub, eph_closer_t **closer);

/* Makes eph_hub_take(), eph_link_accept() and eph_subscription_take() of this hub and its
 * subscriptions return EPH_ECLOSED, now and from now on, where there is nothing to take: what has
 * arrived can still be taken with a time-out of 0. The hub stays in its domain and can still send; it
 * is to be freed as ever. May be called again. */
int eph_closer_close(eph_closer_t *closer);

/* NULL is allowed. The hub goes on; if it was closed, it stays so. */
int eph_closer_free(eph_closer_t *closer);

/* ---------------------------------------------------------------------------------------------
 * Who is there
 *
 * What these say may be over when it is read.
 *
 *   infos   out: an array, of which the first are filled; may be NULL if room is 0
 *   room    in: how many there is room for
 *   count   out: how many there are, which may be more
 */

typedef struct eph_hub_info {
    char name[72]; /* ends with a zero */
    uint64_t id;
    uint32_t pid;  /* 0 if it is in another pid namespace than the supervisor */
    uint32_t uid;
    uint32_t links; /* that are open */
    uint32_t reserved;
} eph_hub_info_t;

typedef struct eph_link_info {
    char opener[72];   /* ends with a zero */
    char acceptor[72]; /* ends with a zero */
    uint64_t id;
} eph_link_info_t;

typedef struct eph_subject_info {
    char subject[256];      /* ends with a zero */
    uint32_t id;
    uint32_t publishers;    /* hubs that publish on it */
    uint32_t subscriptions; /* whose patterns match it */
    uint32_t reserved;
} eph_subject_info_t;

typedef struct eph_counter {
    char label[56]; /* ends with a zero; `ephapse stat --help` says what is counted */
    uint64_t value;
} eph_counter_t;

/* All hubs of the domain, in the order in which they joined. EPH_EDISCONNECTED, EPH_ETIMEDOUT. Waits
 * for the supervisor. */
int eph_hub_list(eph_hub_t *hub, eph_hub_info_t *infos, size_t room, size_t *count);

/* All links of the domain. As eph_hub_list(). */
int eph_hub_links(eph_hub_t *hub, eph_link_info_t *infos, size_t room, size_t *count);

/* All subjects of the domain on which somebody publishes, in the order of their names.
 * As eph_hub_list(). */
int eph_hub_subjects(eph_hub_t *hub, eph_subject_info_t *infos, size_t room, size_t *count);

/* What the hub has counted so far. Asks nobody, and does not wait. */
int eph_hub_counters(eph_hub_t *hub, eph_counter_t *infos, size_t room, size_t *count);

/* Waits until there is a hub of that name, and says who it is (info: out, may be NULL).
 * EPH_ETIMEDOUT; EPH_EDISCONNECTED; EPH_ENAME if there can be none. A closer does not end it. */
int eph_hub_wait_for(eph_hub_t *hub, const char *name, size_t name_len, int64_t timeout_ns,
                     eph_hub_info_t *info);

/* ---------------------------------------------------------------------------------------------
 * Events
 *
 * An event that was taken is read where its publisher wrote it, or (a broadcast) in a copy of the
 * subscription's, until it is released: by eph_event_release(), or by the …_next() functions, which
 * then take another one. It has to be released before the handle that gave it can
 * give another one. The struct may be copied and moved; only one of the copies is to be released.
 */

typedef struct eph_event {
    const void *data;    /* the payload; at a multiple of 32 bytes */
    size_t len;          /* its bytes */
    const char *subject; /* what it is about; NULL if it was sent over a link itself */
    size_t subject_len;
    const char *source;  /* the name of the hub that sent it */
    size_t source_len;
    uint64_t sequence;   /* its number among all that this hub has published, from 1, or that came
                            over this link, from 0 */
    uint64_t schema;     /* EPH_RAW, or what its sender has said */
    uint64_t link;       /* the number of the link, if it was sent over a link itself */
    uint64_t handle;     /* the library's */
} eph_event_t;

typedef struct eph_event_details {
    size_t size;
    uint64_t source_id;        /* the sender's id: with the sequence the event's own; 0 of a link */
    uint64_t destination;      /* the id of the only hub that it is for; 0: for all */
    uint64_t correlation;      /* what connects a reply with its request; 0: nothing */
    uint64_t timestamp_ns;     /* when it was sent, on CLOCK_MONOTONIC; 0: not said */
    uint64_t deadline_ns;      /* when it is worth nothing any more, likewise */
    const char *reply_subject; /* where a reply is expected; NULL: nowhere */
    size_t reply_subject_len;
    uint32_t attempts;         /* how often it has been sent before */
    uint32_t metadata_count;
    uint8_t priority;          /* 0 is usual */
    uint8_t in_place;          /* 1: data is where the sender wrote it; 0: a copy */
    uint8_t reserved[6];
} eph_event_details_t;

static inline void eph_event_details_init(eph_event_details_t *details) {
    memset(details, 0, sizeof *details);
    details->size = sizeof *details;
}

/* A name and a value, of metadata. */
typedef struct eph_pair {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
} eph_pair_t;

/* Gives an event back, and clears the struct: what it pointed to must not be used any more. NULL, and
 * an event that is cleared, are allowed. EPH_EHANDLE: a copy of the struct was released before.
 * A few nanoseconds. [rt] */
int eph_event_release(eph_event_t *event);

/* What is rarely asked for (out; eph_event_details_init() first). Texts in it live as long as the
 * event. About 50 ns. [rt] */
int eph_event_details(const eph_event_t *event, eph_event_details_t *details);

/* Metadata by index, from 0 (out). Its texts live as long as the event. EPH_EINVAL: there are fewer.
 * [rt] */
int eph_event_metadata(const eph_event_t *event, size_t index, eph_pair_t *pair);

/* Whether an event is of this schema and has a payload of this length: 1 or 0. Then a flat type may be
 * read from its data. */
static inline int eph_event_is(const eph_event_t *event, uint64_t schema, size_t len) {
    return event->schema == schema && event->len == len;
}

/* The same, where something else is an error: 0, EPH_ESCHEMA or
 * EPH_EPAYLOAD. Looks at the struct alone, and changes nothing. [rt] */
int eph_event_check(const eph_event_t *event, uint64_t schema, size_t len);

/* ---------------------------------------------------------------------------------------------
 * Publishing
 */

/* What became of an event. */
typedef struct eph_sent {
    uint32_t path;      /* EPH_PATH_… */
    uint32_t receivers; /* subscriptions that it is for */
} eph_sent_t;

/* What few events need beside their payload. */
typedef struct eph_extension {
    size_t size;
    const char *reply_subject; /* where a reply is expected */
    size_t reply_subject_len;
    const eph_pair_t *metadata;
    size_t metadata_count;
    uint64_t correlation;
    int64_t deadline_ns;       /* so long from now; 0: none */
    uint32_t attempts;
    uint8_t priority;
    uint8_t reserved[3];
} eph_extension_t;

static inline void eph_extension_init(eph_extension_t *extension) {
    memset(extension, 0, sizeof *extension);
    extension->size = sizeof *extension;
}

/* Writes len bytes of a payload to data. It is called on the thread that publishes, before the call
 * returns; data is at a multiple of 32 bytes. It must write the same each time, all of it, call no
 * function of the library, and not unwind (throw, longjmp). */
typedef void (*eph_write_fn)(void *user, void *data, size_t len);

/* A loan: memory to write a payload into, which is then sent or discarded. */
typedef struct eph_loan {
    void *data;      /* at a multiple of 32 bytes; holds whatever was there before */
    size_t len;
    uint64_t handle; /* the library's */
} eph_loan_t;

/* A publisher of events of one schema on one subject. When it returns, all who subscribe to the
 * subject get what is sent.
 *
 *   subject     in: no pattern
 *   schema      in: EPH_RAW, or from eph_schema()
 *   publisher   out: to be freed with eph_publisher_free()
 *
 * EPH_ESUBJECT; EPH_ELIMIT; EPH_ESEGMENT (the first one makes the broadcast ring);
 * EPH_EDISCONNECTED, EPH_ETIMEDOUT. Waits for the supervisor the first time on a subject. */
int eph_publisher_open(eph_hub_t *hub, const char *subject, size_t subject_len, uint64_t schema,
                       eph_publisher_t **publisher);

/* Those who have subscribed get what was sent. NULL is allowed. EPH_EBUSY: a loan is out; nothing is
 * freed. Does not wait. */
int eph_publisher_free(eph_publisher_t *publisher);

/* Subscriptions that want its events now (out). [rt] */
int eph_publisher_receivers(eph_publisher_t *publisher, uint32_t *receivers);

/* Copies a payload into the rings of all who subscribe to the subject.
 *
 *   data, len    in      sent   out, may be NULL
 *   timeout_ns   in: how long to wait for room. EPH_FOREVER is not longer than the hub's patience:
 *                a subscription that stands still is overtaken after it.
 *
 * EPH_EFULL; EPH_ETOOLARGE (longer than half of the broadcast ring, less 32 bytes); EPH_ECLOSED.
 * Nobody sees anything of it then. [rt], but for some microseconds when another thread has
 * published through the same hub in between. */
int eph_publish(eph_publisher_t *publisher, const void *data, size_t len, int64_t timeout_ns,
                eph_sent_t *sent);

/* As eph_publish(), with an extension (in; NULL: none). EPH_ETOOLARGE also if that is longer than
 * 4 KiB. Allocates. */
int eph_publish_with(eph_publisher_t *publisher, const void *data, size_t len,
                     const eph_extension_t *extension, int64_t timeout_ns, eph_sent_t *sent);

/* As eph_publish(), zero-copy: has `write` write the payload where it belongs in the ring, once for
 * each ring that it goes into (one broadcast, or one for each link), and not at all if nobody wants
 * it. Other publishers of the hub wait meanwhile. [rt], as far as `write` is. */
int eph_publish_written(eph_publisher_t *publisher, size_t len, eph_write_fn write, void *user,
                        int64_t timeout_ns, eph_sent_t *sent);

/* Lends memory for a payload of up to len bytes (loan: out), to be written in one's own time; the
 * publisher says EPH_EBUSY until it is sent or discarded. It is the publisher's own, and is copied
 * when it is sent (1 MiB in about 40 µs): a place in the rings would be in the way of the hub's other
 * publishers for as long as you keep it, and which ring it will be is known only then. With no copy
 * at all: eph_publish_written(), eph_link_loan(). EPH_ETOOLARGE. Allocates for a loan that is longer
 * than all before; does not wait. */
int eph_publisher_loan(eph_publisher_t *publisher, size_t len, eph_loan_t *loan);

/* Sends the first len bytes of a loan, and clears the struct.
 *
 *   len          in: at most what was lent
 *   timeout_ns   in: how long to wait for room; nothing to wait for with a link's loan
 *   sent         out, may be NULL
 *
 * EPH_EINVAL (len), EPH_EFULL, EPH_ETOOLARGE, EPH_ECLOSED: the loan stays, to be sent again or
 * discarded. [rt] */
int eph_loan_send(eph_loan_t *loan, size_t len, int64_t timeout_ns, eph_sent_t *sent);

/* Gives a loan back, of which nobody sees anything, and clears the struct. NULL, and a loan that is
 * cleared, are allowed. [rt] */
int eph_loan_discard(eph_loan_t *loan);

/* ---------------------------------------------------------------------------------------------
 * Subscribing
 */

typedef struct eph_subscription_options {
    size_t size;
    int32_t flow; /* EPH_FLOW_… */
    int32_t wait; /* EPH_WAIT_… */
    int64_t spin_ns;
} eph_subscription_options_t;

static inline void eph_subscription_options_init(eph_subscription_options_t *options) {
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Subscribes to all subjects that match one of the patterns, whoever publishes on them, now and
 * later. When it returns, what is published from now on arrives.
 *
 *   patterns       in: 1 to 32, divided by blanks: "robot.> system.*.health"
 *   options        in: NULL for defaults
 *   subscription   out: to be freed with eph_subscription_free()
 *
 * EPH_ESUBJECT; EPH_ELIMIT; EPH_EKERNEL; EPH_EDISCONNECTED, EPH_ETIMEDOUT. Waits for the
 * supervisor, and for the hubs that publish. */
int eph_subscribe(eph_hub_t *hub, const char *patterns, size_t patterns_len,
                  const eph_subscription_options_t *options, eph_subscription_t **subscription);

/* NULL is allowed. EPH_EBUSY: an event is out; nothing is freed. Calls the drop function of its
 * callback, if it has one. Does not wait. */
int eph_subscription_free(eph_subscription_t *subscription);

/* The next event, to be read in place (out) and given back with eph_event_release().
 *
 * EPH_ETIMEDOUT; EPH_ECLOSED (the hub was closed or freed); EPH_ELAGGED, EPH_ECORRUPT: told once, and
 * the subscription goes on. [rt], but allocates for a broadcast that is longer than all before. */
int eph_subscription_take(eph_subscription_t *subscription, int64_t timeout_ns, eph_event_t *event);

/* As eph_subscription_take(), but gives the event that is in the struct (in, out) back before it looks
 * for the next, so that a loop needs no other call, and less time:
 *
 *     eph_event_t event = {0};
 *     while (eph_subscription_next(sub, EPH_FOREVER, &event) == 0) { ... }
 *
 * The struct is zeros at first, and again when there is no next event. EPH_EHANDLE also if what is in
 * it has been given back already. [rt], as above. */
int eph_subscription_next(eph_subscription_t *subscription, int64_t timeout_ns,
                          eph_event_t *event);

/* The next event, as a copy of its payload.
 *
 *   buffer     out: bytes      capacity   in: how many there is room for
 *   len        out: bytes of the payload
 *
 * As eph_subscription_take(); EPH_ETOOLARGE: the payload is longer than the buffer, which has as much
 * of it as fits; len says how long it was, and the event is gone. [rt], as above. */
int eph_receive(eph_subscription_t *subscription, int64_t timeout_ns, void *buffer, size_t capacity,
                size_t *len);

/* The descriptor to wait for with poll, epoll or libuv (out). It is the subscription's: do not
 * read, write or close it, and take it out of an epoll set before the subscription is freed. [rt] */
int eph_subscription_fd(eph_subscription_t *subscription, int *fd);

/* Before waiting for the descriptor (armed: out): 1, there is nothing to take, and the descriptor
 * becomes readable when there is (and once more some milliseconds later, for nothing); 0, there may
 * be something now. So: take with EPH_NOW until EPH_ETIMEDOUT, arm, and wait if it was 1. About 2 µs
 * when events have arrived in between: one system call. */
int eph_subscription_arm(eph_subscription_t *subscription, int *armed);

/* Called for an event, by eph_subscription_dispatch() on the thread that called that. The event is
 * released afterwards if the function has not done it. The function may use other handles, and the
 * subscription itself once the event is released, also to set another function or to free it. It must
 * not unwind (throw, longjmp). */
typedef void (*eph_event_fn)(void *user, eph_event_t *event);

/* Called once, when `user` is needed no more: when another function is set, or the subscription is
 * freed, on the thread that does it; if the function is being called at that moment, when it has
 * returned, on the thread that dispatches. It must not unwind. */
typedef void (*eph_drop_fn)(void *user);

/* Sets the function for events; NULL for none. `drop` may be NULL; it is not called if this fails. */
int eph_subscription_on_event(eph_subscription_t *subscription, eph_event_fn function, void *user,
                              eph_drop_fn drop);

/* Waits for an event and calls the function for it and for those that are there behind it, count_max
 * at most (count: out, set also on errors). As eph_subscription_take(), where nothing was dispatched
 * or trouble came behind some events; EPH_EINVAL if there is no function. 0, after fewer events than
 * there are, if the function has set none in its place or freed the subscription. */
int eph_subscription_dispatch(eph_subscription_t *subscription, int64_t timeout_ns,
                              size_t count_max, size_t *count);

/* ---------------------------------------------------------------------------------------------
 * For one hub: emit, request, reply
 */

/* Sends an event to one hub, if it has subscribed to the subject, waiting for room as long as the
 * hub's patience.
 *
 *   to           in: its name                subject   in
 *   schema       in: EPH_RAW, or …           data, len   in
 *   extension    in: NULL for none           sent   out, may be NULL
 *
 * EPH_ENOHUB; as eph_publisher_open() and eph_publish(). Waits for the supervisor the first time on a
 * subject or to a hub. */
int eph_emit_to(eph_hub_t *hub, const char *to, size_t to_len, const char *subject,
                size_t subject_len, uint64_t schema, const void *data, size_t len,
                const eph_extension_t *extension, eph_sent_t *sent);

/* Sends a request to all who subscribe to the subject, and waits for the first reply (out), which is a
 * copy, to be given back with eph_event_release(); the hub need not wait for that.
 *
 * EPH_ENORESPONDERS, at once; EPH_ETIMEDOUT: whether it was acted on is not known, and a reply that
 * comes later is passed over; as eph_publisher_open() and eph_publish(). */
int eph_request(eph_hub_t *hub, const char *subject, size_t subject_len, uint64_t schema,
                const void *data, size_t len, int64_t timeout_ns, eph_event_t *reply);

/* Replies to a request that a subscription has given, and that has not been released (sent: out, may
 * be NULL: 0 receivers if who asked is gone). EPH_ENOTREQUEST; as eph_emit_to(). */
int eph_reply(eph_hub_t *hub, const eph_event_t *request, uint64_t schema, const void *data,
              size_t len, eph_sent_t *sent);

/* ---------------------------------------------------------------------------------------------
 * Links
 *
 * For two hubs that want nothing between them but a cache line. What is sent with eph_link_send()
 * arrives at the other hub: eph_hub_take().
 */

typedef struct eph_link_options {
    size_t size;
    uint64_t send_capacity;    /* bytes of the ring to the other side; 64 KiB */
    uint64_t receive_capacity; /* bytes of the ring from the other side, which makes it; 64 KiB */
    int64_t timeout_ns;        /* how long the other side may take to answer; 5 s, at most 10 */
    int32_t huge_pages;        /* EPH_ON: ask for them, for this side's ring; EPH_OFF (default) */
    int32_t reserved;
} eph_link_options_t;

static inline void eph_link_options_init(eph_link_options_t *options) {
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

typedef struct eph_link_state {
    size_t size;
    char peer[72]; /* the other hub's name, ends with a zero */
    uint64_t id;   /* the same on both sides */
    uint64_t capacity;
    uint64_t max_payload;
    int32_t is_open; /* whether the other side is there, as far as is known */
    int32_t reserved;
} eph_link_state_t;

static inline void eph_link_state_init(eph_link_state_t *state) {
    memset(state, 0, sizeof *state);
    state->size = sizeof *state;
}

/* Opens a link with the hub of that name. When it returns, the other side has attached.
 *
 *   name      in      options   in: NULL for defaults
 *   link      out: to be freed with eph_link_free()
 *
 * EPH_ENOHUB, EPH_ESAMEHUB, EPH_ELINKED, EPH_EDECLINED, EPH_EHUBGONE, EPH_EREFUSED, EPH_ELIMIT,
 * EPH_ETIMEDOUT, EPH_ESEGMENT, EPH_EKERNEL, EPH_EDISCONNECTED. Nothing stays behind then. Waits for the
 * supervisor and for the other hub. */
int eph_link_to(eph_hub_t *hub, const char *name, size_t name_len,
                const eph_link_options_t *options, eph_link_t **link);

/* The next link that another hub has opened with this one (out: to be freed with eph_link_free()). Its
 * events arrive whether it is taken or not; it is needed to answer. EPH_ETIMEDOUT; EPH_ECLOSED. */
int eph_link_accept(eph_hub_t *hub, int64_t timeout_ns, eph_link_t **link);

/* Ends the stream to the other side, which reads what was sent and is then told. The link is over when
 * both have. NULL is allowed. EPH_EBUSY: a loan is out; nothing is freed. Does not wait. */
int eph_link_free(eph_link_t *link);

/* Closes the link with the hub of that name at once, whoever opened it; whether there was one
 * (unlinked: out, may be NULL: 1 or 0). What was sent can still be received. EPH_ETIMEDOUT. Waits for
 * a thread of this process, not for others. */
int eph_hub_unlink(eph_hub_t *hub, const char *name, size_t name_len, int *unlinked);

/* What has become of a link (out; eph_link_state_init() first). [rt] */
int eph_link_state(eph_link_t *link, eph_link_state_t *state);

/* Copies a payload into the ring to the other side, waiting for room.
 *
 * EPH_EFULL; EPH_ETOOLARGE; EPH_EPEERGONE, EPH_ELINKCLOSED, EPH_ECLOSED: no more can be sent;
 * EPH_EPROTOCOL: the other side lies about its position, and the link is closed. [rt] */
int eph_link_send(eph_link_t *link, uint64_t schema, const void *data, size_t len,
                  int64_t timeout_ns);

/* Lends a place for len bytes in the ring (loan: out): nothing is copied. The link says EPH_EBUSY until
 * it is sent or discarded. As eph_link_send(). [rt] */
int eph_link_loan(eph_link_t *link, uint64_t schema, size_t len, int64_t timeout_ns,
                  eph_loan_t *loan);

/* The next event of any link, to be read in place (out) and given back with eph_event_release().
 *
 * EPH_ETIMEDOUT; EPH_ECLOSED; EPH_EPEERGONE, EPH_ELINKCLOSED, EPH_ECORRUPT: told once for each link that
 * is over (eph_last_link()), after all that came over it; the hub goes on with its others. [rt] */
int eph_hub_take(eph_hub_t *hub, int64_t timeout_ns, eph_event_t *event);

/* As eph_hub_take(), but gives the event that is in the struct (in, out) back before it looks for the
 * next: see eph_subscription_next(). [rt] */
int eph_hub_next(eph_hub_t *hub, int64_t timeout_ns, eph_event_t *event);

/* As eph_subscription_fd() and eph_subscription_arm(), for eph_hub_take() and eph_link_accept(). */
int eph_hub_fd(eph_hub_t *hub, int *fd);
int eph_hub_arm(eph_hub_t *hub, int *armed);

/* ---------------------------------------------------------------------------------------------
 * Texts that end with a zero
 */

static inline int eph_schema_z(const char *name, uint32_t version, const char *layout,
                               uint64_t *schema) {
    return eph_schema(name, name ? strlen(name) : 0, version, layout, layout ? strlen(layout) : 0,
                      schema);
}

static inline int eph_supervisor_start_z(const char *directory, eph_supervisor_t **supervisor) {
    return eph_supervisor_start(EPH_ABI, directory, directory ? strlen(directory) : 0, supervisor);
}

static inline int eph_hub_open_z(const char *name, const eph_hub_options_t *options,
                                 eph_hub_t **hub) {
    return eph_hub_open(EPH_ABI, name, name ? strlen(name) : 0, options, hub);
}

static inline int eph_hub_wait_for_z(eph_hub_t *hub, const char *name, int64_t timeout_ns,
                                     eph_hub_info_t *info) {
    return eph_hub_wait_for(hub, name, name ? strlen(name) : 0, timeout_ns, info);
}

static inline int eph_publisher_open_z(eph_hub_t *hub, const char *subject, uint64_t schema,
                                       eph_publisher_t **publisher) {
    return eph_publisher_open(hub, subject, subject ? strlen(subject) : 0, schema, publisher);
}

static inline int eph_subscribe_z(eph_hub_t *hub, const char *patterns,
                                  const eph_subscription_options_t *options,
                                  eph_subscription_t **subscription) {
    return eph_subscribe(hub, patterns, patterns ? strlen(patterns) : 0, options, subscription);
}

static inline int eph_emit_to_z(eph_hub_t *hub, const char *to, const char *subject,
                                uint64_t schema, const void *data, size_t len, eph_sent_t *sent) {
    return eph_emit_to(hub, to, to ? strlen(to) : 0, subject, subject ? strlen(subject) : 0, schema,
                       data, len, NULL, sent);
}

static inline int eph_request_z(eph_hub_t *hub, const char *subject, uint64_t schema,
                                const void *data, size_t len, int64_t timeout_ns,
                                eph_event_t *reply) {
    return eph_request(hub, subject, subject ? strlen(subject) : 0, schema, data, len, timeout_ns,
                       reply);
}

static inline int eph_link_to_z(eph_hub_t *hub, const char *name,
                                const eph_link_options_t *options, eph_link_t **link) {
    return eph_link_to(hub, name, name ? strlen(name) : 0, options, link);
}

static inline int eph_hub_unlink_z(eph_hub_t *hub, const char *name, int *unlinked) {
    return eph_hub_unlink(hub, name, name ? strlen(name) : 0, unlinked);
}

#ifdef __cplusplus
}
#endif

#endif
