/* Records how a process changes the files of one folder, for the reconstruction of what a power cut would leave.
 *
 * Loaded by LD_PRELOAD. Each call that opens, writes, cuts, flushes, renames or removes a file under POWER_ROOT is done
 * and then appended to the file POWER_TRACE: a head of 22 bytes (operation, descriptor, offset, length of the name,
 * length of the data; little-endian, packed), the name, and the data. Memory maps are not recorded: SQLite maps only
 * the index of its log, which it builds again after a power cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, UNLINK, RENAME };

#define MAX_DESCRIPTORS 4096

#pragma pack(push, 1)
struct head {
    uint8_t operation;
    int32_t descriptor;
    int64_t offset;
    uint32_t name_length;
    uint32_t data_length;
};
#pragma pack(pop)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char followed[MAX_DESCRIPTORS];
static char appends[MAX_DESCRIPTORS];
static int trace = -1;
static const char *root;
static size_t root_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("POWER_TRACE");
    root = getenv("POWER_ROOT");
    if (path && root) {
        root_length = strlen(root);
        trace = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static void put(int operation, int descriptor, int64_t offset, const char *name, const void *data, size_t length) {
    struct head head = {operation, descriptor, offset, name ? strlen(name) : 0, length};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)name, head.name_length}, {(void *)data, length}};
    int before = errno;
    if (REAL(writev)(trace, parts, 3) < 0) abort();
    errno = before;
}

/* The absolute path of a name, or NULL if it is not under the root. */
static const char *inside(int folder, const char *name, char *buffer) {
    if (trace < 0 || !name) return NULL;
    if (name[0] != '/') {
        if (folder != AT_FDCWD || !getcwd(buffer, PATH_MAX)) return NULL;
        size_t length = strlen(buffer);
        snprintf(buffer + length, PATH_MAX - length, "/%s", name);
        name = buffer;
    }
    if (strncmp(name, root, root_length) || strstr(name, "/../")) return NULL;
    return name[root_length] == '/' || !name[root_length] ? name : NULL;
}

static int opened(int descriptor, int folder, const char *name, int flags) {
    char buffer[PATH_MAX + 1];
    const char *path = descriptor < 0 || descriptor >= MAX_DESCRIPTORS ? NULL : inside(folder, name, buffer);
    if (path) {
        pthread_mutex_lock(&lock);
        followed[descriptor] = 1;
        appends[descriptor] = (flags & O_APPEND) != 0;
        put(OPEN, descriptor, flags & O_TRUNC ? 1 : 0, path, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return descriptor;
}

static int is_followed(int descriptor) {
    return trace >= 0 && descriptor >= 0 && descriptor < MAX_DESCRIPTORS && followed[descriptor];
}

#define OPEN_LIKE(function)                                                  \
    int function(const char *name, int flags, ...) {                         \
        va_list rest;                                                        \
        va_start(rest, flags);                                               \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest);                                                        \
        return opened(REAL(function)(name, flags, mode), AT_FDCWD, name, flags); \
    }
OPEN_LIKE(open)
OPEN_LIKE(open64)

#define OPENAT_LIKE(function)                                                \
    int function(int folder, const char *name, int flags, ...) {             \
        va_list rest;                                                        \
        va_start(rest, flags);                                               \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest);                                                        \
        return opened(REAL(function)(folder, name, flags, mode), folder, name, flags); \
    }
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

int close(int descriptor) {
    if (!is_followed(descriptor)) return REAL(close)(descriptor);
    pthread_mutex_lock(&lock);
    followed[descriptor] = 0;
    put(CLOSE, descriptor, 0, NULL, NULL, 0);
    int done = REAL(close)(descriptor);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int descriptor, const void *data, size_t length) {
    if (!is_followed(descriptor)) return REAL(write)(descriptor, data, length);
    pthread_mutex_lock(&lock);
    ssize_t done = REAL(write)(descriptor, data, length);
    if (done > 0) put(WRITE, descriptor, lseek(descriptor, 0, SEEK_CUR) - done, NULL, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE_LIKE(function, offset_type)                                                     \
    ssize_t function(int descriptor, const void *data, size_t length, offset_type offset) {    \
        if (!is_followed(descriptor)) return REAL(function)(descriptor, data, length, offset); \
        pthread_mutex_lock(&lock);                                                             \
        ssize_t done = REAL(function)(descriptor, data, length, offset);                       \
        if (done > 0) put(WRITE, descriptor, offset, NULL, data, done);                        \
        pthread_mutex_unlock(&lock);                                                           \
        return done;                                                                           \
    }
PWRITE_LIKE(pwrite, off_t)
PWRITE_LIKE(pwrite64, off64_t)

#define TRUNCATE_LIKE(function, offset_type)                                     \
    int function(int descriptor, offset_type length) {                           \
        if (!is_followed(descriptor)) return REAL(function)(descriptor, length); \
        pthread_mutex_lock(&lock);                                               \
        int done = REAL(function)(descriptor, length);                           \
        if (!done) put(TRUNCATE, descriptor, length, NULL, NULL, 0);             \
        pthread_mutex_unlock(&lock);                                             \
        return done;                                                             \
    }
TRUNCATE_LIKE(ftruncate, off_t)
TRUNCATE_LIKE(ftruncate64, off64_t)

/* What is written by others while a file is flushed may or may not be on the disk afterwards. */
#define SYNC_LIKE(function)                                              \
    int function(int descriptor) {                                       \
        if (!is_followed(descriptor)) return REAL(function)(descriptor); \
        pthread_mutex_lock(&lock);                                       \
        put(SYNC_BEGIN, descriptor, 0, NULL, NULL, 0);                   \
        pthread_mutex_unlock(&lock);                                     \
        int done = REAL(function)(descriptor);                           \
        if (done) return done;                                           \
        pthread_mutex_lock(&lock);                                       \
        put(SYNC_END, descriptor, 0, NULL, NULL, 0);                     \
        pthread_mutex_unlock(&lock);                                     \
        return 0;                                                        \
    }
SYNC_LIKE(fsync)
SYNC_LIKE(fdatasync)

static void removed(int folder, const char *name) {
    char buffer[PATH_MAX + 1];
    const char *path = inside(folder, name, buffer);
    if (path) put(UNLINK, -1, 0, path, NULL, 0);
}

int unlink(const char *name) {
    pthread_mutex_lock(&lock);
    int done = REAL(unlink)(name);
    if (!done) removed(AT_FDCWD, name);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlinkat(int folder, const char *name, int flags) {
    pthread_mutex_lock(&lock);
    int done = REAL(unlinkat)(folder, name, flags);
    if (!done) removed(folder, name);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to) {
    char buffers[2][PATH_MAX + 1];
    pthread_mutex_lock(&lock);
    int done = REAL(rename)(from, to);
    const char *before = inside(AT_FDCWD, from, buffers[0]), *after = inside(AT_FDCWD, to, buffers[1]);
    if (!done && before && after) put(RENAME, -1, 0, before, after, strlen(after));
    pthread_mutex_unlock(&lock);
    return done;
}
