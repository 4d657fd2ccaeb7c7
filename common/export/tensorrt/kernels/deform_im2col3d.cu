// The kernel on the GPU, in float32 and float16. Compiled by NVRTC, which brings no headers.
#include "deform_im2col3d.h"

struct Half {
  unsigned short bits;

  __device__ explicit Half(float value) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value)); }
  __device__ explicit operator float() const {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
  }
};

extern "C" __global__ void __launch_bounds__(256)
    deform_im2col3d_float32(const float* volume, const float* offset, float* columns, Geometry geometry) {
  deform_im2col3d(volume, offset, columns, geometry, blockIdx.x, threadIdx.x, blockDim.x);
}

extern "C" __global__ void __launch_bounds__(256)
    deform_im2col3d_float16(const Half* volume, const Half* offset, Half* columns, Geometry geometry) {
  deform_im2col3d(volume, offset, columns, geometry, blockIdx.x, threadIdx.x, blockDim.x);
}
