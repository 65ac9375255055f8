/*-------------------------------------------------------------------------
 *
 * exact_sum.h
 *		Sums of doubles and integers, and of their squares, without rounding.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_EXACT_SUM_H
#define VENICE_EXACT_SUM_H

#include <stdint.h>

/* For squares, which reach from 2^-2148 to 2^2048, and 2^63 of them. */
#define EXACT_SUM_DIGITS 136

/*
 * A number in digits of 32 bits, least significant first.  Those of a sum count from
 * 2^-1074, which is the least double, those of a sum of squares from its square.  A digit
 * holds more than 32 bits until carries are propagated; the highest one has the sign.
 */
typedef struct ExactSum
{
	int			low;			/* digits outside of low .. high - 1 are 0 */
	int			high;
	int			additions;		/* since carries were propagated */
	int64_t		digits[EXACT_SUM_DIGITS];
} ExactSum;

/* A sum must be all zero bits, or reset, before it is used. */
extern void ExactSumReset(ExactSum *sum);

/* Add value, or its square, which must be finite; with subtract take it away again. */
extern void ExactSumAdd(ExactSum *sum, double value, int subtract);
extern void ExactSumAddSquare(ExactSum *sum, double value, int subtract);

/* The same of an integer, of which a double may not have all digits. */
extern void ExactSumAddInteger(ExactSum *sum, int64_t value, int subtract);
extern void ExactSumAddIntegerSquare(ExactSum *sum, int64_t value, int subtract);

/* The double that is nearest to the sum, the even one of two; infinite where none is near. */
extern double ExactSumRound(ExactSum *sum);

/* The sum of count values by their number. */
extern double ExactSumMean(ExactSum *sum, int64_t count);

/* The standard deviation of a sample of at least two values. */
extern double ExactSumDeviation(ExactSum *sum, ExactSum *squares, int64_t count);

#endif							/* VENICE_EXACT_SUM_H */
