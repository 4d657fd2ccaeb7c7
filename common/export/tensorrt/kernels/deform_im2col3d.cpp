// The kernel on the CPU, for tests: the same blocks of the same threads, one after the other.
#include "deform_im2col3d.h"

template <class Value>
static void launch(const void* volume, const void* offset, void* columns, const Geometry& geometry,
                   unsigned blocks, unsigned threads) {
  for (unsigned block = 0; block < blocks; ++block)
    for (unsigned thread = 0; thread < threads; ++thread)
      deform_im2col3d(static_cast<const Value*>(volume), static_cast<const Value*>(offset),
                      static_cast<Value*>(columns), geometry, block, thread, threads);
}

extern "C" {

void deform_im2col3d_float32(const void* volume, const void* offset, void* columns, const Geometry& geometry,
                             unsigned blocks, unsigned threads) {
  launch<float>(volume, offset, columns, geometry, blocks, threads);
}

void deform_im2col3d_float16(const void* volume, const void* offset, void* columns, const Geometry& geometry,
                             unsigned blocks, unsigned threads) {
  launch<_Float16>(volume, offset, columns, geometry, blocks, threads);
}

unsigned geometry_bytes() { return sizeof(Geometry); }

}
