/*-------------------------------------------------------------------------
 *
 * exact_sum.c
 *		Sums of doubles and integers, and of their squares, without rounding.
 *
 * A window that slides adds what enters and subtracts what leaves.  Where each step
 * rounds, what is left of a large number that has long gone is in every later answer.
 * Here a sum is a number of fixed point that is wide enough for all doubles, so that
 * what was added can be taken away without a trace, and the order does not matter.
 * Only few digits are in use at a time: that of numbers of one size is about as fast as
 * a compensated sum.
 *
 * Pure C.  Must not know: the server, windows, NULLs, infinities.
 *
 *-------------------------------------------------------------------------
 */
#include "offline/exact_sum.h"

#include <math.h>
#include <string.h>

#define DIGIT_BITS 32
#define DIGIT_MASK INT64_C(0xffffffff)

/* Bits of the exponents of what the lowest bit of a sum, and of a sum of squares, is worth. */
#define SUM_UNIT (-1074)
#define SQUARES_UNIT (2 * SUM_UNIT)

/* A digit of 64 bits has room for so many numbers of 32. */
#define MOST_ADDITIONS (1 << 30)

#define WIDE_DIGITS (2 * EXACT_SUM_DIGITS)

typedef unsigned __int128 uint128_t;

/* The absolute value of a sum, or of what is computed of sums. */
typedef struct Magnitude
{
	int			low;
	int			high;
	uint32_t	digits[WIDE_DIGITS];
} Magnitude;

void
ExactSumReset(ExactSum *sum)
{
	if (sum->high > sum->low)
		memset(&sum->digits[sum->low], 0, (sum->high - sum->low) * sizeof(int64_t));
	sum->low = sum->high = sum->additions = 0;
}

/* After this all digits but the highest are from 0 to 2^32 - 1. */
static void
propagate(ExactSum *sum)
{
	int64_t		carry = 0;
	int			top = sum->high - 1;

	sum->additions = 0;
	if (sum->high == sum->low)
		return;
	for (int i = sum->low; i < top; i++)
	{
		int64_t		digit = sum->digits[i] + carry;

		sum->digits[i] = digit & DIGIT_MASK;
		carry = (digit - sum->digits[i]) / (DIGIT_MASK + 1);
	}
	sum->digits[top] += carry;
	if (sum->digits[top] > INT32_MAX || sum->digits[top] < INT32_MIN)
	{
		int64_t		digit = sum->digits[top];

		sum->digits[top] = digit & DIGIT_MASK;
		sum->digits[sum->high++] = (digit - sum->digits[top]) / (DIGIT_MASK + 1);
	}
}

/* Add or subtract bits, of which the lowest is worth 2^position units. */
static void
add_bits(ExactSum *sum, uint64_t bits, int position, int subtract)
{
	uint128_t	shifted = (uint128_t) bits << (position % DIGIT_BITS);
	int			low = position / DIGIT_BITS;
	int64_t    *digits = &sum->digits[low];
	int64_t		parts[3] = {(int64_t) (shifted & DIGIT_MASK),
		(int64_t) ((shifted >> DIGIT_BITS) & DIGIT_MASK),
	(int64_t) (shifted >> (2 * DIGIT_BITS))};

	for (int i = 0; i < 3; i++)
		digits[i] += subtract ? -parts[i] : parts[i];
	if (sum->high == sum->low)
	{
		sum->low = low;
		sum->high = low + 3;
	}
	if (low < sum->low)
		sum->low = low;
	if (low + 3 > sum->high)
		sum->high = low + 3;
	if (++sum->additions == MOST_ADDITIONS)
		propagate(sum);
}

/* A double is mantissa * 2^(position - 1074). */
static uint64_t
mantissa_of(double value, int *position, int *negative)
{
	uint64_t	bits;
	uint64_t	mantissa;
	int			exponent;

	memcpy(&bits, &value, sizeof(bits));
	*negative = (int) (bits >> 63);
	exponent = (int) (bits >> 52) & 0x7ff;
	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	if (exponent > 0)
	{
		mantissa |= UINT64_C(1) << 52;
		exponent--;
	}
	*position = exponent;
	return mantissa;
}

void
ExactSumAdd(ExactSum *sum, double value, int subtract)
{
	int			position;
	int			negative;
	uint64_t	mantissa = mantissa_of(value, &position, &negative);

	add_bits(sum, mantissa, position, negative != subtract);
}

/* Add the square of bits, of which the lowest is worth 2^position units of a sum. */
static void
add_square(ExactSum *sum, uint64_t bits, int position, int subtract)
{
	uint128_t	square = (uint128_t) bits * bits;

	add_bits(sum, (uint64_t) square, 2 * position, subtract);
	add_bits(sum, (uint64_t) (square >> 64), 2 * position + 64, subtract);
}

void
ExactSumAddSquare(ExactSum *sum, double value, int subtract)
{
	int			position;
	int			negative;
	uint64_t	mantissa = mantissa_of(value, &position, &negative);

	add_square(sum, mantissa, position, subtract);
}

static uint64_t
absolute(int64_t value)
{
	return value < 0 ? -(uint64_t) value : (uint64_t) value;
}

void
ExactSumAddInteger(ExactSum *sum, int64_t value, int subtract)
{
	add_bits(sum, absolute(value), -SUM_UNIT, (value < 0) != subtract);
}

void
ExactSumAddIntegerSquare(ExactSum *sum, int64_t value, int subtract)
{
	add_square(sum, absolute(value), -SUM_UNIT, subtract);
}

/* The absolute value; returns whether the sum is negative. */
static int
magnitude_of(ExactSum *sum, Magnitude *magnitude)
{
	int			top;
	int			negative;
	int64_t		carry = 0;

	propagate(sum);
	magnitude->low = magnitude->high = sum->low;
	for (top = sum->high - 1; top >= sum->low && sum->digits[top] == 0; top--)
		;
	if (top < sum->low)
		return 0;
	negative = sum->digits[top] < 0;
	for (int i = sum->low; i <= top; i++)
	{
		int64_t		digit = (negative ? -sum->digits[i] : sum->digits[i]) + carry;

		magnitude->digits[i] = (uint32_t) (digit & DIGIT_MASK);
		carry = (digit - magnitude->digits[i]) / (DIGIT_MASK + 1);
	}
	magnitude->high = top + 1;
	return negative;
}

/*
 * The highest 64 bits, the last of which also stands for all below it, rounded to a
 * double, and the exponent that belongs to it; 0 where there is nothing.
 */
static double
leading_bits(const Magnitude *magnitude, int *exponent)
{
	int			top = magnitude->high - 1;
	uint128_t	bits = 0;
	int			below;
	int			shift = 0;
	uint64_t	leading;

	while (top >= magnitude->low && magnitude->digits[top] == 0)
		top--;
	*exponent = 0;
	if (top < magnitude->low)
		return 0;
	below = top - 3;
	for (int i = top; i > below; i--)
		bits = bits << DIGIT_BITS | (i >= magnitude->low ? magnitude->digits[i] : 0);
	while ((bits >> (3 * DIGIT_BITS - 1 - shift)) == 0)
		shift++;
	bits <<= shift;
	leading = (uint64_t) (bits >> DIGIT_BITS);
	if ((bits & DIGIT_MASK) != 0)
		leading |= 1;
	for (int i = below; i >= magnitude->low; i--)
		if (magnitude->digits[i] != 0)
			leading |= 1;
	*exponent = (below + 2) * DIGIT_BITS - shift;
	return (double) leading;
}

/* The sum by a divisor. */
static double
quotient(ExactSum *sum, double divisor)
{
	Magnitude	magnitude;
	int			negative = magnitude_of(sum, &magnitude);
	int			exponent;
	double		leading = leading_bits(&magnitude, &exponent);

	leading = ldexp(leading / divisor, exponent + SUM_UNIT);
	return negative ? -leading : leading;
}

double
ExactSumRound(ExactSum *sum)
{
	return quotient(sum, 1);
}

double
ExactSumMean(ExactSum *sum, int64_t count)
{
	return quotient(sum, (double) count);
}

/* Multiply by a factor, in place. */
static void
multiply(Magnitude *magnitude, uint64_t factor)
{
	uint128_t	carry = 0;

	for (int i = magnitude->low; i < magnitude->high; i++)
	{
		carry += (uint128_t) magnitude->digits[i] * factor;
		magnitude->digits[i] = (uint32_t) carry;
		carry >>= DIGIT_BITS;
	}
	while (carry != 0)
	{
		magnitude->digits[magnitude->high++] = (uint32_t) carry;
		carry >>= DIGIT_BITS;
	}
}

/* Subtract the square of another one, which must not be greater. */
static void
subtract_square(Magnitude *magnitude, const Magnitude *root)
{
	for (int i = root->low; i < root->high; i++)
	{
		uint64_t	carry = 0;
		int64_t		borrow = 0;

		for (int j = root->low; i + j < magnitude->high; j++)
		{
			uint64_t	product = carry;
			int64_t		digit;

			if (j >= root->high && carry == 0 && borrow == 0)
				break;
			if (j < root->high)
				product += (uint64_t) root->digits[i] * root->digits[j];
			carry = product >> DIGIT_BITS;
			digit = (int64_t) magnitude->digits[i + j] - (int64_t) (product & DIGIT_MASK) + borrow;
			magnitude->digits[i + j] = (uint32_t) (digit & DIGIT_MASK);
			borrow = digit < 0 ? -1 : 0;
		}
	}
}

/* Make room for digits from low on, which are 0 so far. */
static void
extend(Magnitude *magnitude, int low, int high)
{
	if (magnitude->high == magnitude->low)
		magnitude->low = magnitude->high = low;
	while (magnitude->low > low)
		magnitude->digits[--magnitude->low] = 0;
	while (magnitude->high < high)
		magnitude->digits[magnitude->high++] = 0;
}

/* The root of (count * squares - sum * sum) / (count * (count - 1)). */
double
ExactSumDeviation(ExactSum *sum, ExactSum *squares, int64_t count)
{
	Magnitude	root;
	Magnitude	variance;
	int			exponent;
	double		leading;

	(void) magnitude_of(sum, &root);
	(void) magnitude_of(squares, &variance);
	multiply(&variance, (uint64_t) count);
	extend(&variance, 2 * root.low, 2 * root.high);
	subtract_square(&variance, &root);
	leading = leading_bits(&variance, &exponent);
	exponent += SQUARES_UNIT;
	if (exponent % 2 != 0)
	{
		leading *= 2;
		exponent--;
	}
	leading /= (double) count * (double) (count - 1);
	return ldexp(sqrt(leading), exponent / 2);
}
