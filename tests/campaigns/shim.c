/* Shim: preloaded, it stands between a process and one folder: it records what is written and synced there, and
 * makes the n-th write, sync or truncation fail.
 *
 * Law: the order of the records is the order of the effects, and a record is in the trace before the call returns.
 * Calls go straight to the kernel, so nothing of libc is looked up. Without a folder it does nothing.
 */
#define _GNU_SOURCE
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
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, OPENED, WRITE, TRUNCATE, SYNC, SYNC_FAILED, UNLINK, RENAME, SYNC_DIR };
enum { KIND_WRITE, KIND_SYNC, KIND_TRUNCATE, KINDS };
enum { FILES = 65536, FILE_OURS = 1, DIR_OURS = 2, SHORT_WRITE = 0 };

struct record { uint32_t op, path_bytes; uint64_t inode; int64_t offset, size; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_bytes;
static int trace = -1;
static unsigned char ours[FILES];
static uint64_t inodes[FILES];
static long counted[KINDS], fired, first, times;
static int fail_kind = -1, fail_errno;
static char cure[PATH_MAX];

static int inside(const char *path) {
    return folder_bytes && path && !strncmp(path, folder, folder_bytes)
        && (path[folder_bytes] == '/' || path[folder_bytes] == 0);
}

static void note(uint32_t op, uint64_t inode, int64_t offset, int64_t size, const char *path, const void *data) {
    if (trace < 0) return;
    int kept = errno;
    struct record head = {op, path ? (uint32_t)strlen(path) : 0, inode, offset, size};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)data, data ? (size_t)size : 0}};
    if (syscall(SYS_writev, trace, parts, 3) < (long)(sizeof head)) abort();
    errno = kept;
}

/* Whether this call is to fail; none where the file SHIM_CURE is there. With the lock held. */
static int fails(int kind) {
    long number = ++counted[kind];
    if (kind != fail_kind || number < first || number >= first + times) return 0;
    if (*cure && !syscall(SYS_faccessat, AT_FDCWD, cure, F_OK)) return 0;
    fired++;
    return 1;
}

static void stop_tracing(void) {
    if (trace >= 0) syscall(SYS_close, trace);
    trace = -1;
    folder_bytes = 0;
}

/* Begin with a folder (its real path); an empty trace path records nothing. */
void shim_start(const char *path, const char *trace_path) {
    pthread_mutex_lock(&lock);
    stop_tracing();
    memset(ours, 0, sizeof ours);
    memset(counted, 0, sizeof counted);
    fired = 0;
    fail_kind = -1;
    folder_bytes = (size_t)snprintf(folder, sizeof folder, "%s", path);
    if (*trace_path) trace = (int)syscall(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pthread_mutex_unlock(&lock);
}

void shim_stop(void) {
    pthread_mutex_lock(&lock);
    stop_tracing();
    fail_kind = -1;
    pthread_mutex_unlock(&lock);
}

/* Calls first..first+times-1 of a kind, counted from now, fail with this errno; SHORT_WRITE: the first one writes
 * half of its bytes, the next finds no room. */
void shim_arm(int kind, long nth, long how_often, int with_errno) {
    pthread_mutex_lock(&lock);
    memset(counted, 0, sizeof counted);
    fired = 0;
    fail_kind = kind, first = nth, times = with_errno == SHORT_WRITE ? 2 : how_often, fail_errno = with_errno;
    pthread_mutex_unlock(&lock);
}

long shim_fired(void) { return fired; }
long shim_counted(int kind) { return counted[kind]; }

__attribute__((constructor)) static void from_environment(void) {
    const char *path = getenv("SHIM_FOLDER"), *trace_path = getenv("SHIM_TRACE"), *arm = getenv("SHIM_ARM");
    int kind, with_errno;
    long nth, how_often;
    if (!path) return;
    if (getenv("SHIM_CURE")) snprintf(cure, sizeof cure, "%s", getenv("SHIM_CURE"));
    shim_start(path, trace_path ? trace_path : "");
    if (arm && sscanf(arm, "%d %ld %ld %d", &kind, &nth, &how_often, &with_errno) == 4)
        shim_arm(kind, nth, how_often, with_errno);
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (!folder_bytes) return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat found;
    int there = fstatat(at, path, &found, 0) == 0;
    int file = (int)syscall(SYS_openat, at, path, flags, mode);
    if (file >= 0 && file < FILES) {
        int kept = errno;
        char link[64], real[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, real, sizeof real - 1);
        real[length < 0 ? 0 : length] = 0;
        ours[file] = 0;
        if (inside(real) && fstat(file, &found) == 0) {
            inodes[file] = found.st_ino;
            ours[file] = S_ISDIR(found.st_mode) ? DIR_OURS : FILE_OURS;
            if (ours[file] == FILE_OURS) note(there ? OPENED : CREATE, found.st_ino, 0, 0, real, 0);
            if (there && (flags & O_TRUNC)) note(TRUNCATE, found.st_ino, 0, 0, 0, 0);
        }
        errno = kept;
    }
    pthread_mutex_unlock(&lock);
    return file;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

static int is_ours(int file, int what) { return folder_bytes && file >= 0 && file < FILES && ours[file] == what; }

int close(int file) {
    if (file >= 0 && file < FILES) ours[file] = 0;
    return (int)syscall(SYS_close, file);
}

/* `offset` -1: where the file stands. */
static ssize_t written(int file, const void *data, size_t bytes, off_t offset) {
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    int fail = fails(KIND_WRITE);
    if (fail && (fail_errno != SHORT_WRITE || counted[KIND_WRITE] > first)) {
        errno = fail_errno == SHORT_WRITE ? ENOSPC : fail_errno;
    } else {
        if (fail && bytes > 1) bytes /= 2;
        done = offset < 0 ? syscall(SYS_write, file, data, bytes) : syscall(SYS_pwrite64, file, data, bytes, offset);
        if (done > 0) note(WRITE, inodes[file], offset < 0 ? lseek(file, 0, SEEK_CUR) - done : offset, done, 0, data);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int file, const void *data, size_t bytes) {
    return is_ours(file, FILE_OURS) ? written(file, data, bytes, -1) : syscall(SYS_write, file, data, bytes);
}

ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t offset) {
    return is_ours(file, FILE_OURS) ? written(file, data, bytes, offset) : syscall(SYS_pwrite64, file, data, bytes, offset);
}

ssize_t pwrite(int file, const void *data, size_t bytes, off_t offset) { return pwrite64(file, data, bytes, offset); }

int ftruncate64(int file, off64_t size) {
    if (!is_ours(file, FILE_OURS)) return (int)syscall(SYS_ftruncate, file, size);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (fails(KIND_TRUNCATE)) errno = fail_errno;
    else if ((done = (int)syscall(SYS_ftruncate, file, size)) == 0) note(TRUNCATE, inodes[file], 0, size, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

/* Room that is set aside is a longer file. */
int posix_fallocate64(int file, off64_t offset, off64_t bytes) {
    struct stat found;
    if (fstat(file, &found)) return errno;
    return found.st_size >= offset + bytes || ftruncate64(file, offset + bytes) == 0 ? 0 : errno;
}

int posix_fallocate(int file, off_t offset, off_t bytes) { return posix_fallocate64(file, offset, bytes); }

/* Copies within the kernel are refused in the folder, so that they come as writes. */
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
    if (is_ours(to, FILE_OURS)) return errno = EINVAL, -1;
    return syscall(SYS_sendfile, to, from, offset, bytes);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) { return sendfile64(to, from, offset, bytes); }

static int synced(int file, long number) {
    if (!is_ours(file, FILE_OURS) && !is_ours(file, DIR_OURS)) return (int)syscall(number, file);
    pthread_mutex_lock(&lock);
    int done = -1, directory = ours[file] == DIR_OURS;
    if (fails(KIND_SYNC)) errno = fail_errno;
    else done = (int)syscall(number, file);
    if (done == 0) note(directory ? SYNC_DIR : SYNC, inodes[file], 0, 0, 0, 0);
    else note(SYNC_FAILED, inodes[file], 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }

static int unlinked(int at, const char *path, int flags) {
    if (!inside(path)) return (int)syscall(SYS_unlinkat, at, path, flags);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, at, path, flags);
    if (done == 0) note(UNLINK, 0, 0, 0, path, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) { return unlinked(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlinked(at, path, flags); }

/* The record's path is both, a newline between them; `offset` says where the second begins. */
int rename(const char *from, const char *to) {
    if (!inside(from) || !inside(to)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    char both[2 * PATH_MAX];
    snprintf(both, sizeof both, "%s\n%s", from, to);
    if (done == 0) note(RENAME, 0, (int64_t)strlen(from) + 1, 0, both, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
