/*-------------------------------------------------------------------------
 *
 * pin_settings.h
 *		Settings that a worker must not inherit from its database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PIN_SETTINGS_H
#define VENICE_PIN_SETTINGS_H

#include "utils/guc.h"

/*
 * ALTER DATABASE … SET is meant for people: a worker that it made read-only, or
 * timed out, would stop.  After connecting, as autovacuum does.
 */
static inline void
PinWorkerSettings(void)
{
	SetConfigOption("default_transaction_read_only", "false", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog", PGC_SUSET, PGC_S_OVERRIDE);
}

#endif							/* VENICE_PIN_SETTINGS_H */
