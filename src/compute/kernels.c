/*-------------------------------------------------------------------------
 *
 * kernels.c
 *		Sums over vectors of numbers, by the widest instructions of this CPU.
 *
 * Every kernel adds its terms in the same order, in as many running sums as the
 * widest instructions need, and without fused multiply-add: so that the results
 * are the same bits on every CPU, and functions made of them are immutable in
 * truth.  What differs is how many of the running sums one instruction holds.
 *
 * The code is written once, in kernels_body.inc, and compiled for each set of
 * instructions.  Floats are added as floats: the error of a sum of n terms is
 * below (n / 64 + 9) * 2^-24 of the sum of their absolute values.
 *
 * Pure C.  Must not know: the server, arrays, NULLs.
 *
 *-------------------------------------------------------------------------
 */
#include "compute/kernels.h"

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__x86_64__)
#define HAVE_X86_KERNELS
#endif

#define KERNEL(name)		KERNEL_JOIN(name, KERNEL_SUFFIX)
#define KERNEL_JOIN(a, b)	KERNEL_PASTE(a, b)
#define KERNEL_PASTE(a, b)	a##_##b

/* What any CPU of the platform can do: vectors of 16 bytes, by whatever means. */
#define KERNEL_TARGET
#define VECTOR_BYTES 16
#define KERNEL_SUFFIX baseline_float
#define ELEMENT float
#define INTEGER uint32_t
#include "compute/kernels_body.inc"
#define KERNEL_SUFFIX baseline_double
#define ELEMENT double
#define INTEGER uint64_t
#include "compute/kernels_body.inc"
#undef KERNEL_TARGET
#undef VECTOR_BYTES

#ifdef HAVE_X86_KERNELS
#define KERNEL_TARGET __attribute__((target("avx2")))
#define VECTOR_BYTES 32
#define KERNEL_SUFFIX avx2_float
#define ELEMENT float
#define INTEGER uint32_t
#include "compute/kernels_body.inc"
#define KERNEL_SUFFIX avx2_double
#define ELEMENT double
#define INTEGER uint64_t
#include "compute/kernels_body.inc"
#undef KERNEL_TARGET
#undef VECTOR_BYTES

#define KERNEL_TARGET __attribute__((target("avx512f")))
#define VECTOR_BYTES 64
#define KERNEL_SUFFIX avx512_float
#define ELEMENT float
#define INTEGER uint32_t
#include "compute/kernels_body.inc"
#define KERNEL_SUFFIX avx512_double
#define ELEMENT double
#define INTEGER uint64_t
#include "compute/kernels_body.inc"
#undef KERNEL_TARGET
#undef VECTOR_BYTES
#endif

#define KERNELS(set) { \
	#set, \
	dot_##set##_float, dot_and_squared_##set##_float, l1_norm_##set##_float, \
	l1_distance_##set##_float, l2_squared_##set##_float, \
	dot_##set##_double, dot_and_squared_##set##_double, l1_norm_##set##_double, \
	l1_distance_##set##_double, l2_squared_##set##_double \
}

static const Kernels kernels[] = {
	KERNELS(baseline),
#ifdef HAVE_X86_KERNELS
	KERNELS(avx2),
	KERNELS(avx512),
#endif
};

static int
supported(void)
{
#ifdef HAVE_X86_KERNELS
	if (__builtin_cpu_supports("avx512f"))
		return 3;
	if (__builtin_cpu_supports("avx2"))
		return 2;
#endif
	return 1;
}

const Kernels *
KernelsOf(int index)
{
	return index < supported() ? &kernels[index] : NULL;
}

const Kernels *
KernelsSelect(void)
{
	static const Kernels *selected = NULL;

	if (selected == NULL)
		selected = &kernels[supported() - 1];
	return selected;
}
