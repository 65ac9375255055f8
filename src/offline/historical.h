/*-------------------------------------------------------------------------
 *
 * historical.h
 *		The functions that answer what features were: get_historical_features and
 *		its like.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HISTORICAL_H
#define VENICE_HISTORICAL_H

#include "fmgr.h"
#include "access/tupdesc.h"

#include "offline/request.h"

extern Datum venice_get_historical_features(PG_FUNCTION_ARGS);

/* What its arguments (spine, features, event_time, options) ask for. */
extern HistoricalRequest *HistoricalRequestOfCall(FunctionCallInfo fcinfo);

/* 42804 where the columns that a query expects are not those of the answer. */
extern void HistoricalColumnsCheck(const HistoricalRequest *request, TupleDesc expected);

#endif							/* VENICE_HISTORICAL_H */
