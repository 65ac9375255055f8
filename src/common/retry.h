/*-------------------------------------------------------------------------
 *
 * retry.h
 *		Which errors pass by themselves, and how long to wait for that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_RETRY_H
#define VENICE_RETRY_H

#include "utils/elog.h"

/*
 * Is an error the fault of the circumstances (resources, locks, operators, the
 * network, the server itself) and not of the data or the definitions?
 */
static inline bool
ErrorIsTransient(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('0', '8', '0', '0', '0'):	/* connection */
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* rolled back */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* resources */
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'):	/* lock not to be had */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* operator */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* operating system */
		case MAKE_SQLSTATE('X', 'X', '0', '0', '0'):	/* internal */
			return true;
		default:
			return false;
	}
}

/* 1 s, doubled with every failure in a row, to 60 s. */
static inline int
RetryDelayMs(int failures)
{
	return failures >= 7 ? 60 * 1000 : 1000 << (failures > 0 ? failures - 1 : 0);
}

#endif							/* VENICE_RETRY_H */
