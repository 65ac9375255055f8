/*-------------------------------------------------------------------------
 *
 * length_of_time.h
 *		Intervals that have a length.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LENGTH_OF_TIME_H
#define VENICE_LENGTH_OF_TIME_H

#include "datatype/timestamp.h"

/* Raise 22023 unless the interval is NULL or positive. */
extern void IntervalCheckPositive(const Interval *interval, const char *what);

/*
 * An interval as an absolute length in microseconds, with days of 24 hours whatever the
 * time zone.  22023 unless it is positive, and for months, of which none is like the other.
 */
extern int64 IntervalLength(const Interval *interval, const char *what);

#endif							/* VENICE_LENGTH_OF_TIME_H */
