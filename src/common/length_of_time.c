/*-------------------------------------------------------------------------
 *
 * length_of_time.c
 *		Intervals that have a length.
 *
 * Adding '1 day' to a time depends on the session's time zone where the clocks are
 * changed, and adding '1 month' on the month.  What is to mean the same whoever asks is
 * an absolute length.
 *
 * Locks: none.
 * Must not know: what is that long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/length_of_time.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

void
IntervalCheckPositive(const Interval *interval, const char *what)
{
	Interval	zero = {0};

	if (interval != NULL &&
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(interval),
										  IntervalPGetDatum(&zero))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", what)));
}

int64
IntervalLength(const Interval *interval, const char *what)
{
	int64		days;
	int64		length;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is given in months or years", what),
				 errdetail("They differ in length, so that answers would depend on the calendar."),
				 errhint("Give it in days, hours or shorter.")));
	IntervalCheckPositive(interval, what);
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, interval->time, &length))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s is too long", what)));
	return length;
}
