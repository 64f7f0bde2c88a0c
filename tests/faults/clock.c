/* A system clock that can be set, for the helper alone: preloaded, it adds the seconds in the file CLOCK_OFFSET_FILE
 * to CLOCK_REALTIME. libfaketime 0.9.10 breaks Python's sleep (EINVAL from clock_nanosleep with an absolute time). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);
static const char *offset_file;

__attribute__((constructor)) static void begin(void) {
	char words[256];
	int file = open("/proc/self/cmdline", O_RDONLY);
	ssize_t size = file < 0 ? 0 : read(file, words, sizeof words);
	close(file);
	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	if (size > 0 && memmem(words, size, "safe_restart.helper", 19)) offset_file = getenv("CLOCK_OFFSET_FILE");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
	char text[16] = "";
	int result = real_gettime(clock, now), file;
	if (result == 0 && clock == CLOCK_REALTIME && offset_file && (file = open(offset_file, O_RDONLY)) >= 0) {
		if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
		close(file);
	}
	return result;
}
