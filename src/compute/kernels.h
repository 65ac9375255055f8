/*-------------------------------------------------------------------------
 *
 * kernels.h
 *		Sums over vectors of numbers, by the widest instructions of this CPU.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_KERNELS_H
#define VENICE_KERNELS_H

/*
 * Of `count` elements; the sum of nothing is 0.  dot_and_squared is two calls of dot
 * in one, of a and b and of b with itself, and gives the same bits.
 */
typedef struct Kernels
{
	const char *name;			/* of the instruction set */
	float		(*dot_float) (const float *a, const float *b, int count);
	float		(*dot_and_squared_float) (const float *a, const float *b, int count,
									  float *squared_b);
	float		(*l1_norm_float) (const float *a, const float *b, int count);
	float		(*l1_distance_float) (const float *a, const float *b, int count);
	float		(*l2_squared_float) (const float *a, const float *b, int count);
	double		(*dot_double) (const double *a, const double *b, int count);
	double		(*dot_and_squared_double) (const double *a, const double *b, int count,
									  double *squared_b);
	double		(*l1_norm_double) (const double *a, const double *b, int count);
	double		(*l1_distance_double) (const double *a, const double *b, int count);
	double		(*l2_squared_double) (const double *a, const double *b, int count);
} Kernels;

/* The kernels of this CPU. */
extern const Kernels *KernelsSelect(void);

/* The kernels number `index`, widest last; NULL beyond the last that this CPU can run. */
extern const Kernels *KernelsOf(int index);

#endif							/* VENICE_KERNELS_H */
