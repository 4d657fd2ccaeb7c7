// The samples of a 3D deformable convolution as columns: the body of the kernel, for the GPU and for the CPU.
//
// volume (N, C, D, H, W), offset (N, G, taps, 3, D', H', W') in voxels, columns (N, C, taps, D' * H' * W').
// Positions and sums are float, whatever `Value` is. Each operation and its order are those of the reference
// in common/export/onnx/deform_conv3d/reference.py.
#pragma once

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#define NOT_UNROLLED _Pragma("unroll 1")
#else
#include <cmath>
#define HOST_DEVICE
#define NOT_UNROLLED
#endif

// Per axis (z, y, x), in voxels. Each product of three sizes must be less than 2^31; other indices are 64-bit.
struct Geometry {
  int channels, groups;  // groups of channels that share offsets
  int size[3], out_size[3], kernel[3], stride[3], padding[3], dilation[3];
};

HOST_DEVICE inline unsigned product(const int (&size)[3]) { return unsigned(size[0]) * size[1] * size[2]; }

// Compute one output voxel of one tap for all channels of a group. Blocks of threads run along the output
// voxels; the taps of the same voxels are neighbours, so that what they share of the volume stays in the cache.
template <class Value>
HOST_DEVICE inline void deform_im2col3d(const Value* __restrict__ volume, const Value* __restrict__ offset,
                                        Value* __restrict__ columns, const Geometry& g, unsigned block,
                                        unsigned thread, unsigned threads) {
  const unsigned voxels = product(g.out_size), taps = product(g.kernel), cells = product(g.size);
  const unsigned blocks = (voxels + threads - 1) / threads;
  const unsigned tap = block % taps, group = block / taps / blocks;  // groups of all batches in one row
  const unsigned voxel = block / taps % blocks * threads + thread;
  if (voxel >= voxels) return;

  // Outside by one voxel or more is all the same: zero.
  int lower[3];
  float upper_weight[3];
  const Value* along = offset + ((long long)group * taps + tap) * 3 * voxels + voxel;
  unsigned voxels_left = voxel, taps_left = tap;
  for (int axis = 2; axis >= 0; --axis) {
    const int at = voxels_left % g.out_size[axis], tap_at = taps_left % g.kernel[axis];
    const int start = at * g.stride[axis] - g.padding[axis] + tap_at * g.dilation[axis];
    voxels_left /= g.out_size[axis];
    taps_left /= g.kernel[axis];
    const float shifted = float(along[(long long)axis * voxels]) + start;
    const float position = fminf(fmaxf(shifted, -1.f), float(g.size[axis]));
    lower[axis] = int(floorf(position));
    upper_weight[axis] = position - floorf(position);
  }

  float weight[8];
  unsigned address[8];
  for (int corner = 0; corner < 8; ++corner) {
    weight[corner] = 1;
    address[corner] = 0;
    for (int axis = 0; axis < 3; ++axis) {
      const bool upper = corner >> (2 - axis) & 1;
      const int index = lower[axis] + upper, last = g.size[axis] - 1;
      const bool inside = index >= 0 && index <= last;
      weight[corner] *= inside ? (upper ? upper_weight[axis] : 1 - upper_weight[axis]) : 0;
      address[corner] = address[corner] * g.size[axis] + (index < 0 ? 0 : index > last ? last : index);
    }
  }

  const unsigned channels = g.channels / g.groups;
  const Value* source = volume + (long long)group * channels * cells;
  Value* target = columns + ((long long)group * channels * taps + tap) * voxels + voxel;
  // Not unrolled: eight loads are in flight as it is, and few registers let more threads run.
  NOT_UNROLLED
  for (unsigned channel = 0; channel < channels; ++channel) {
    float sum = 0;
    for (int corner = 0; corner < 8; ++corner) sum += weight[corner] * float(source[address[corner]]);
    *target = Value(sum);
    source += cells;
    target += (long long)taps * voxels;
  }
}
