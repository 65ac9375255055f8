/*-------------------------------------------------------------------------
 *
 * historical_scan.h
 *		Rows of get_historical_features as they are found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HISTORICAL_SCAN_H
#define VENICE_HISTORICAL_SCAN_H

/* Have the planner read the function so; when the library is loaded. */
extern void HistoricalScanInstall(void);

#endif							/* VENICE_HISTORICAL_SCAN_H */
