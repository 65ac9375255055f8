/*-------------------------------------------------------------------------
 *
 * rows.h
 *		The rows that are streamed: 20 columns under a key, from a number alone.
 *
 * Who produces, who upserts over libpq and who does it inside the server make the
 * same rows: upsert number n of a seed is the same for all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BENCH_STREAM_ROWS_H
#define BENCH_STREAM_ROWS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLES 12
#define INTS 5
#define STRINGS 3
#define COLUMNS (DOUBLES + INTS + STRINGS)
#define STRING_BYTES 16

typedef struct Row
{
	int64_t		key;
	double		doubles[DOUBLES];
	int32_t		ints[INTS];
	char		strings[STRINGS][STRING_BYTES];
} Row;

/* splitmix64 */
static inline uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* "value-" and a number below 10,000 */
static inline void
make_string(char *string, unsigned number)
{
	memcpy(string, "value-0000", 11);
	for (char *digit = string + 9; number > 0; digit--, number /= 10)
		*digit = '0' + number % 10;
}

/* Upsert `number` of a seed: any of so many keys, whose remainder by `parts` is `part`. */
static inline void
make_row(Row *row, uint64_t seed, uint64_t number, int64_t keys, int parts, int part)
{
	uint64_t	state = seed << 40 ^ number;

	row->key = (int64_t) (next_random(&state) % (uint64_t) (keys / parts)) * parts + part;
	for (int i = 0; i < DOUBLES; i++)
		row->doubles[i] = (double) (next_random(&state) >> 11) / (UINT64_C(1) << 53) * 1000;
	for (int i = 0; i < INTS; i++)
		row->ints[i] = (int32_t) (next_random(&state) % 200000) - 100000;
	for (int i = 0; i < STRINGS; i++)
		make_string(row->strings[i], next_random(&state) % 10000);
}

static inline int
compare_rows(const void *a, const void *b)
{
	const Row  *left = a;
	const Row  *right = b;

	return (left->key > right->key) - (left->key < right->key);
}

/* A batch in the order of its keys, each of them once; returns how many are left. */
static inline int
sort_rows(Row *rows, int count)
{
	int			kept = 0;

	qsort(rows, count, sizeof(Row), compare_rows);
	for (int i = 0; i < count; i++)
	{
		if (kept > 0 && rows[kept - 1].key == rows[i].key)
			kept--;
		rows[kept++] = rows[i];
	}
	return kept;
}

#endif							/* BENCH_STREAM_ROWS_H */
