/*
 * kernels_test: every set of instructions that this CPU has gives the same bits
 * as the baseline, at any length and alignment, within the stated error of the
 * definition, and reads nothing outside the vectors.
 *
 * Prints TAP.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/kernels.h"

#define LONGEST 1000

static int	tests = 0;

static void
result(int ok, const char *set, const char *what)
{
	printf("%sok %d - %s: %s\n", ok ? "" : "not ", ++tests, set, what);
}

/* Vectors that end where their memory ends, for the sanitizer to see. */
static void *
copy_of(const void *values, int count, size_t size)
{
	void	   *copy = malloc(count * size + 1);

	copy = realloc(copy, count * size > 0 ? count * size : 1);
	memcpy(copy, values, count * size);
	return copy;
}

static int
close_to(double sum, double exact, double absolute, int count, int sizeof_element, double epsilon)
{
	return fabs(sum - exact) <= (count * sizeof_element / 256.0 + 9) * epsilon / 2 * absolute;
}

#define CHECK_KERNEL(set, kernel, type, epsilon, term) \
do { \
	int			same = 1; \
	int			right = 1; \
 \
	for (int count = 0; count <= LONGEST; count++) \
	{ \
		type	   *a = copy_of(type##s[0] + count % 3, count, sizeof(type)); \
		type	   *b = copy_of(type##s[1] + count % 5, count, sizeof(type)); \
		type		sum = (set)->kernel(a, b, count); \
		type		baseline = KernelsOf(0)->kernel(a, b, count); \
		double		exact = 0; \
		double		absolute = 0; \
 \
		for (int i = 0; i < count; i++) \
		{ \
			double		x = a[i]; \
			double		y = b[i]; \
 \
			(void) y; \
			exact += (term); \
			absolute += fabs(term); \
		} \
		same &= memcmp(&sum, &baseline, sizeof(type)) == 0; \
		right &= close_to(sum, exact, absolute, count, sizeof(type), epsilon); \
		free(a); \
		free(b); \
	} \
	result(same, (set)->name, #kernel " gives the same bits as the baseline"); \
	result(right, (set)->name, #kernel " is within its error"); \
} while (0)

#define CHECK_BOTH(set, type) \
do { \
	int			same = 1; \
 \
	for (int count = 0; count <= LONGEST; count++) \
	{ \
		type	   *a = copy_of(type##s[0] + count % 3, count, sizeof(type)); \
		type	   *b = copy_of(type##s[1] + count % 5, count, sizeof(type)); \
		type		each[2] = {(set)->dot_##type(a, b, count), (set)->dot_##type(b, b, count)}; \
		type		both[2]; \
 \
		both[0] = (set)->dot_and_squared_##type(a, b, count, &both[1]); \
		same &= memcmp(both, each, sizeof(both)) == 0; \
		free(a); \
		free(b); \
	} \
	result(same, (set)->name, "dot_and_squared_" #type " gives the same bits as dot"); \
} while (0)

static float floats[2][LONGEST + 8];
static double doubles[2][LONGEST + 8];

int
main(void)
{
	srand48(42);
	for (int v = 0; v < 2; v++)
		for (int i = 0; i < LONGEST + 8; i++)
		{
			doubles[v][i] = (drand48() - 0.5) * exp((drand48() - 0.5) * 20);
			floats[v][i] = (float) doubles[v][i];
		}
	for (int s = 0; KernelsOf(s) != NULL; s++)
	{
		const Kernels *set = KernelsOf(s);

		CHECK_KERNEL(set, dot_float, float, FLT_EPSILON, x * y);
		CHECK_KERNEL(set, l1_norm_float, float, FLT_EPSILON, fabs(x));
		CHECK_KERNEL(set, l1_distance_float, float, FLT_EPSILON, fabs(x - y));
		CHECK_KERNEL(set, l2_squared_float, float, FLT_EPSILON, (x - y) * (x - y));
		CHECK_BOTH(set, float);
		CHECK_BOTH(set, double);
		CHECK_KERNEL(set, dot_double, double, DBL_EPSILON * 100, x * y);
		CHECK_KERNEL(set, l1_norm_double, double, DBL_EPSILON * 100, fabs(x));
		CHECK_KERNEL(set, l1_distance_double, double, DBL_EPSILON * 100, fabs(x - y));
		CHECK_KERNEL(set, l2_squared_double, double, DBL_EPSILON * 100, (x - y) * (x - y));
	}
	result(KernelsSelect() != NULL, KernelsSelect()->name, "is what this CPU uses");
	printf("1..%d\n", tests);
	return 0;
}
