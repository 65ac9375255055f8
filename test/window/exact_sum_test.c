/*
 * exact_sum_test: sums are those of exact arithmetic, rounded once; what was added
 * can be taken away; the order does not matter.
 *
 * Prints TAP.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offline/exact_sum.h"

static int	tests = 0;
static uint64_t state = 4711;

static void
result(int ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++tests, what);
}

static uint64_t
draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Any finite double, of any size. */
static double
draw_double(void)
{
	uint64_t	bits;
	double		value;

	do
	{
		bits = draw();
		memcpy(&value, &bits, sizeof(value));
	} while (!isfinite(value));
	return value;
}

static double
sum_of(const double *values, int count)
{
	static ExactSum sum;

	ExactSumReset(&sum);
	for (int i = 0; i < count; i++)
		ExactSumAdd(&sum, values[i], 0);
	return ExactSumRound(&sum);
}

static double
deviation_of(const double *values, int count)
{
	static ExactSum sum;
	static ExactSum squares;

	ExactSumReset(&sum);
	ExactSumReset(&squares);
	for (int i = 0; i < count; i++)
	{
		ExactSumAdd(&sum, values[i], 0);
		ExactSumAddSquare(&squares, values[i], 0);
	}
	return ExactSumDeviation(&sum, &squares, count);
}

#define SUM(...) sum_of((double[]) {__VA_ARGS__}, sizeof((double[]) {__VA_ARGS__}) / sizeof(double))
#define DEVIATION(...) \
	deviation_of((double[]) {__VA_ARGS__}, sizeof((double[]) {__VA_ARGS__}) / sizeof(double))

static void
test_known(void)
{
	result(SUM(0.0) == 0 && SUM(1.5) == 1.5 && SUM(-1.5) == -1.5, "one number is its sum");
	result(SUM(1e308, 1.0, -1e308) == 1.0, "what is small survives what is large");
	result(SUM(1e300, 1.0, 1e-300, -1e300, -1.0) == 1e-300, "and what is smaller still");
	result(SUM(0.1, 0.2, -0.3) == ldexp(1, -55), "0.1 + 0.2 is not 0.3, and how much so");
	result(SUM(9007199254740992.0, 1.0) == 9007199254740992.0 &&
		   SUM(9007199254740992.0, 1.0, 1e-300) == 9007199254740994.0 &&
		   SUM(9007199254740994.0, 1.0) == 9007199254740996.0 &&
		   SUM(9007199254740994.0, 1.0, -1e-300) == 9007199254740994.0, "half is rounded to even");
	result(SUM(DBL_MAX, DBL_MAX) == HUGE_VAL && SUM(-DBL_MAX, -DBL_MAX) == -HUGE_VAL,
		   "what is too large is infinite");
	result(SUM(DBL_MAX, DBL_MAX, -DBL_MAX) == DBL_MAX, "and was only on the way");
	result(SUM(4.9406564584124654e-324, 4.9406564584124654e-324) == 2 * 4.9406564584124654e-324 &&
		   SUM(DBL_MIN, -4.9406564584124654e-324) == DBL_MIN - 4.9406564584124654e-324,
		   "numbers that are less than normal are not rounded");
	result(SUM(-1.0, -1.0, -1.0) == -3.0 && SUM(-4294967296.0, 1.0) == -4294967295.0,
		   "negative sums");
}

/* 64 numbers of any size, among small ones that stay. */
static void
test_taking_away(void)
{
	static ExactSum sum;
	static ExactSum squares;
	double		kept[50];
	double		gone[64];
	int			right = 1;

	for (int round = 0; round < 2000; round++)
	{
		ExactSumReset(&sum);
		ExactSumReset(&squares);
		for (int i = 0; i < 50; i++)
			kept[i] = ldexp((double) (int64_t) draw(), (int) (draw() % 40) - 60);
		for (int i = 0; i < 64; i++)
			gone[i] = draw_double();
		for (int i = 0; i < 64; i++)
		{
			ExactSumAdd(&sum, gone[i], 0);
			ExactSumAddSquare(&squares, gone[i], 0);
			if (i < 50)
			{
				ExactSumAdd(&sum, kept[i], 0);
				ExactSumAddSquare(&squares, kept[i], 0);
			}
			if (i % 7 == 0)
				(void) ExactSumDeviation(&sum, &squares, 2 * i + 2);
		}
		for (int i = 63; i >= 0; i--)
		{
			ExactSumAdd(&sum, gone[i], 1);
			ExactSumAddSquare(&squares, gone[i], 1);
		}
		right &= ExactSumRound(&sum) == sum_of(kept, 50) &&
			ExactSumDeviation(&sum, &squares, 50) == deviation_of(kept, 50);
	}
	result(right, "what was added and taken away leaves no trace");
}

/* Multiples of 2^-60 below 2^40 fit into 128 bits, with many of them. */
static void
test_against_integers(void)
{
	double		values[1000];
	int			right = 1;

	for (int round = 0; round < 500; round++)
	{
		__int128	exact = 0;
		int			count = 2 + (int) (draw() % 998);
		double		expected;

		for (int i = 0; i < count; i++)
		{
			int64_t		mantissa = (int64_t) (draw() >> 11) * (draw() % 2 ? 1 : -1);
			int			shift = (int) (draw() % 47);

			values[i] = ldexp((double) mantissa, shift - 60);
			exact += (__int128) mantissa * ((__int128) 1 << shift);
		}
		/* The conversion of a compiler rounds to even too. */
		expected = exact < 0 ? -ldexp((double) (unsigned __int128) -exact, -60) :
			ldexp((double) (unsigned __int128) exact, -60);
		right &= sum_of(values, count) == expected;
	}
	result(right, "sums are those of integers of 128 bits");
}

static void
test_deviations(void)
{
	int			right = 1;

	result(DEVIATION(0.1, 0.1, 0.1) == 0 && DEVIATION(1e-320, 1e-320) == 0 &&
		   DEVIATION(DBL_MAX, DBL_MAX) == 0, "what is always the same does not deviate");
	result(fabs(DEVIATION(1.0, 2.0, 3.0, 4.0) - 1.2909944487358056) < 1e-15, "1, 2, 3, 4");
	result(fabs(DEVIATION(1e15 + 1, 1e15 + 2, 1e15 + 3, 1e15 + 4) - 1.2909944487358056) < 1e-15,
		   "far from 0 as near to it");
	result(fabs(DEVIATION(1e300, 3e300) / 1e300 - sqrt(2)) < 1e-15 &&
		   fabs(DEVIATION(1e-300, 3e-300) / 1e-300 - sqrt(2)) < 1e-15, "of any size");
	result(fabs(DEVIATION(-1e308, 1e308) / 1e308 - sqrt(2)) < 1e-15,
		   "where the variance would be infinite");
	for (int round = 0; round < 500; round++)
	{
		double		values[100];
		double		mean = 0;
		double		variance = 0;

		for (int i = 0; i < 100; i++)
			values[i] = ldexp((double) (int64_t) draw(), -63);
		for (int i = 0; i < 100; i++)
			mean += values[i] / 100;
		for (int i = 0; i < 100; i++)
			variance += (values[i] - mean) * (values[i] - mean) / 99;
		right &= fabs(deviation_of(values, 100) - sqrt(variance)) < 1e-14;
	}
	result(right, "deviations are those of two passes");
}

static void
test_integers(void)
{
	static ExactSum sum;
	static ExactSum squares;
	int			right = 1;

	for (int64_t value = INT64_MAX; value > INT64_MAX - 5; value--)
	{
		ExactSumAddInteger(&sum, value, 0);
		ExactSumAddIntegerSquare(&squares, value, 0);
	}
	result(fabs(ExactSumDeviation(&sum, &squares, 5) - sqrt(2.5)) < 1e-15,
		   "large integers deviate by what no double has");
	for (int round = 0; round < 1000; round++)
	{
		int64_t		value = (int64_t) draw();

		ExactSumReset(&sum);
		ExactSumAddInteger(&sum, value, 0);
		right &= ExactSumRound(&sum) == (double) value;
		ExactSumAddInteger(&sum, INT64_MIN, 0);
		ExactSumAddInteger(&sum, value, 1);
		right &= ExactSumRound(&sum) == (double) INT64_MIN;
	}
	result(right, "integers of all sizes are added and taken away");
}

static void
test_many(void)
{
	static ExactSum sum;

	/* More than a digit has room for, were carries never propagated. */
	ExactSumReset(&sum);
	for (int64_t i = 0; i < (INT64_C(1) << 20); i++)
		ExactSumAdd(&sum, 0.1, 0);
	sum.additions = (1 << 30) - 1;
	ExactSumAdd(&sum, 0.1, 0);
	result(sum.additions == 0 && fabs(ExactSumRound(&sum) - 0.1 * ((1 << 20) + 1)) < 1e-10 &&
		   fabs(ExactSumMean(&sum, (1 << 20) + 1) - 0.1) < 1e-16, "carries are propagated in time");
}

int
main(void)
{
	test_known();
	test_taking_away();
	test_against_integers();
	test_deviations();
	test_integers();
	test_many();
	printf("1..%d\n", tests);
	return 0;
}
