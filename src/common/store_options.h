/*-------------------------------------------------------------------------
 *
 * store_options.h
 *		The options of a store: names, types, defaults, and when each applies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STORE_OPTIONS_H
#define VENICE_STORE_OPTIONS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* When a change of the option acts. */
typedef enum OptionApplies
{
	APPLIES_AT_ONCE,
	APPLIES_NEXT_VERSION
} OptionApplies;

/* A topic of writes.  Its place in the list of them is the number of its region. */
typedef struct RealTimeTopic
{
	char	   *server;
	char	   *topic;			/* with {store} unexpanded */
} RealTimeTopic;

/* Parsed, with defaults filled in.  Strings are NULL where there is no value. */
typedef struct StoreOptions
{
	char	   *owner;			/* role name; kept nowhere: it is the owner of the schema */
	char	   *key_format;
	char	   *value_format;
	Jsonb	   *fields;			/* object: column name to field path; or NULL */
	char	   *version_topic;	/* with {store} and {version} unexpanded */
	bool		on_duplicate_last;
	int64		max_rejected;
	int			versions_to_keep;
	Interval	backup_retention;
	int			fillfactor;
	char	   *tablespace;
	bool		unlogged;
	bool		accept_loss;
	int64		max_record_bytes;
	bool		cache;
	bool		history;
	Interval	history_partition;
	Interval   *history_retention;	/* or NULL: for ever */
	char	   *conflict_resolution;	/* "arrival", "row" or "field" */
	Interval	rewind;
	bool		rewind_from_start;	/* of the push, and not from its end */
	Interval	tombstone_retention;
	bool		write_partial;	/* records of real-time topics carry some columns only */
	int64		ttl_us;			/* microseconds; 0: rows do not expire */
	int64		storage_quota;	/* bytes; 0: none */
	int			write_quota;	/* rows per second; 0: none */
	List	   *real_time_topics;	/* of RealTimeTopic; NIL: the store is not hybrid */
	int64		max_lag;		/* records in all partitions together */
	Interval	max_lag_time;
} StoreOptions;

/*
 * Check an object of options as a user gives it: every key known (22023 lists
 * the valid ones), every value of its type and range.  JSON null is allowed:
 * it resets to the default.
 */
extern void StoreOptionsCheck(const Jsonb *options);

/* base with changes merged in; a JSON null removes the key.  Both are checked already. */
extern Jsonb *StoreOptionsMerge(const Jsonb *base, const Jsonb *changes);

/* Every option with its effective value, as venice.stores shows it. */
extern Jsonb *StoreOptionsEffective(const Jsonb *options);

/* Parse checked options; the result is allocated in CurrentMemoryContext. */
extern StoreOptions *StoreOptionsParse(const Jsonb *options);

/* Names of those keys of `changes` that apply from the next version, or NULL if there are none. */
extern char *StoreOptionsNextVersion(const Jsonb *changes);

/* The value of one key as text; NULL when absent or JSON null. */
extern char *OptionText(const Jsonb *options, const char *key);

/* The same of a key that takes a string; 22023 for anything else, and for an empty one. */
extern char *OptionString(const Jsonb *options, const char *key);

/* The same of a key that takes an interval, which is a string; 22023 for anything else. */
extern char *OptionInterval(const Jsonb *options, const char *key);

/* Raise 22023 for a value that is not what the option takes: "true or false". */
extern void OptionRefuse(const Jsonb *options, const char *key, const char *wanted);

/*
 * Raise 22023 for an unknown key of `options`, where valid is a NULL-terminated list.
 * The hint also lists arguments, which are none of the options; NULL when there are none
 * to speak of.
 */
extern void OptionsCheckKeys(const Jsonb *options, const char *const *valid,
							 const char *arguments);

#endif							/* VENICE_STORE_OPTIONS_H */
