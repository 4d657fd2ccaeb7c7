/* A driver without a GPU: what cuda.py calls, on the host's memory, at once. It answers as a real one would:

   FAKE_CUDA_VERSION     12090            what cuDriverGetVersion says
   FAKE_CUDA_CAPABILITY  7.5              of the one GPU
   FAKE_CUDA_MEMORY      17179869184      bytes of GPU memory; what is more than that is refused
   FAKE_CUDA_INIT        0                what cuInit says: 100 is "no device"
   FAKE_CUDA_FAIL        cuEventRecord:3:719   the third call of that function, and all that follow, give 719

   Numbers of errors and attributes: NVIDIA, CUDA Driver API. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, MAJOR = 75, MINOR = 76, BLOCKS = 1024 };

static struct { void *start; size_t size; } blocks[BLOCKS];
static size_t used;
static int broken;

static const char *setting(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value ? value : otherwise;
}

/* The error that this call of `function` shall give; a failed launch breaks the context for good. */
static int failure(const char *function) {
  static int calls;
  char name[64] = "";
  int number = 0, code = 0;
  if (broken) return broken;
  sscanf(setting("FAKE_CUDA_FAIL", ""), "%63[^:]:%d:%d", name, &number, &code);
  if (strcmp(name, function) || ++calls < number) return SUCCESS;
  if (code != OUT_OF_MEMORY) broken = code;
  return code;
}

#define MAY_FAIL do { int code = failure(__func__); if (code) return code; } while (0)

static size_t total(void) { return strtoull(setting("FAKE_CUDA_MEMORY", "17179869184"), NULL, 10); }

int cuInit(unsigned flags) { (void)flags; return atoi(setting("FAKE_CUDA_INIT", "0")); }
int cuDriverGetVersion(int *version) { *version = atoi(setting("FAKE_CUDA_VERSION", "12090")); return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal ? INVALID_VALUE : SUCCESS; }
int cuDeviceTotalMem(size_t *size, int device) { (void)device; *size = total(); return SUCCESS; }

int cuDeviceGetName(char *name, int length, int device) {
  (void)device;
  snprintf(name, length, "Pretended GPU");
  return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  int major = 0, minor = 0;
  (void)device;
  sscanf(setting("FAKE_CUDA_CAPABILITY", "7.5"), "%d.%d", &major, &minor);
  if (attribute != MAJOR && attribute != MINOR) return INVALID_VALUE;
  *value = attribute == MAJOR ? major : minor;
  return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = (void *)0x100; return SUCCESS; }
int cuDevicePrimaryCtxRelease(int device) { (void)device; return SUCCESS; }
int cuCtxSetCurrent(void *context) { return context == (void *)0x100 ? SUCCESS : INVALID_VALUE; }
int cuMemGetInfo(size_t *left, size_t *all) { *all = total(); *left = *all - used; return SUCCESS; }

static int take(void **start, size_t size) {
  int index = 0;
  if (size > total() - used) return OUT_OF_MEMORY;
  while (index < BLOCKS && blocks[index].start) index++;
  if (index == BLOCKS || posix_memalign(start, 256, size)) return OUT_OF_MEMORY;
  memset(*start, 0xFF, size); /* not a number: what is read before it is written shows */
  blocks[index].start = *start;
  blocks[index].size = size;
  used += size;
  return SUCCESS;
}

static int give_back(void *start) {
  for (int index = 0; index < BLOCKS; index++)
    if (start && blocks[index].start == start) {
      used -= blocks[index].size;
      blocks[index].start = NULL;
      free(start);
      return SUCCESS;
    }
  return INVALID_VALUE;
}

int cuMemAlloc(void **address, size_t size) { MAY_FAIL; return take(address, size); }
int cuMemFree(void *address) { MAY_FAIL; return give_back(address); }

int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
  (void)flags;
  MAY_FAIL;
  return posix_memalign(address, 4096, size) ? OUT_OF_MEMORY : SUCCESS;
}

int cuMemFreeHost(void *address) { free(address); return SUCCESS; }

int cuMemcpyHtoDAsync(void *to, const void *from, size_t size, void *stream) {
  (void)stream;
  MAY_FAIL;
  memcpy(to, from, size);
  return SUCCESS;
}

int cuMemcpyDtoHAsync(void *to, const void *from, size_t size, void *stream) {
  (void)stream;
  MAY_FAIL;
  memcpy(to, from, size);
  return SUCCESS;
}

static int make(void **handle) { *handle = malloc(1); return SUCCESS; }

int cuStreamCreate(void **stream, unsigned flags) { (void)flags; MAY_FAIL; return make(stream); }
int cuStreamDestroy(void *stream) { MAY_FAIL; free(stream); return SUCCESS; }
int cuStreamSynchronize(void *stream) { (void)stream; MAY_FAIL; return SUCCESS; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { (void)stream; (void)event; (void)flags; MAY_FAIL; return SUCCESS; }
int cuEventCreate(void **event, unsigned flags) { (void)flags; MAY_FAIL; return make(event); }
int cuEventDestroy(void *event) { MAY_FAIL; free(event); return SUCCESS; }
int cuEventRecord(void *event, void *stream) { (void)event; (void)stream; MAY_FAIL; return SUCCESS; }
int cuEventSynchronize(void *event) { (void)event; MAY_FAIL; return SUCCESS; }
int cuModuleUnload(void *module) { MAY_FAIL; return give_back(module); }

int cuModuleLoadData(void **module, const void *image) {
  MAY_FAIL;
  if (memcmp(image, "cubin", 5)) return 200; /* invalid image */
  return take(module, 1);
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
  (void)module;
  *function = (void *)0x200;
  return strcmp(name, "fill") ? NOT_FOUND : SUCCESS;
}

/* The one kernel there is, fill(float *out, float value): one float for every thread along x. */
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
  (void)gy, (void)gz, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
  MAY_FAIL;
  if (function != (void *)0x200) return INVALID_VALUE;
  for (unsigned thread = 0; thread < gx * bx; thread++) (*(float **)arguments[0])[thread] = *(float *)arguments[1];
  return SUCCESS;
}

int cuGetErrorString(int code, const char **text) {
  *text = code == OUT_OF_MEMORY ? "out of memory" : code == 719 ? "unspecified launch failure" : "an error";
  return SUCCESS;
}

#ifndef BEFORE_CUDA_12
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, void *status) {
  (void)version, (void)flags, (void)status;
  *function = dlsym(RTLD_DEFAULT, name);
  return *function ? SUCCESS : NOT_FOUND;
}
#endif
