/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings; units in the names.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_GUC_H
#define VENICE_GUC_H

/* The project that is always there. */
#define DEFAULT_PROJECT "default"

/* Values of venice.pit_plan. */
typedef enum PitPlan
{
	PIT_PLAN_AUTO,
	PIT_PLAN_PROBE,
	PIT_PLAN_MERGE,
	PIT_PLAN_INSTANT
} PitPlan;

typedef struct VeniceSettings
{
	int			cache_size_kb;
	int			max_ingest_workers;
	int			worker_memory_kb;
	int			batch_rows;
	int			batch_delay_ms;
	int			swap_lock_timeout_ms;
	int			drop_lock_timeout_ms;
	int			rejected_record_retention_s;
	int			run_retention_s;
	int			served_log_retention_s;
	int			served_log_rows;
	int			audit_retention_s;
	bool		ingestion;
	bool		allow_direct_dml;
	bool		read_cache;
	int			pit_plan;		/* a PitPlan */
	char	   *project;
} VeniceSettings;

extern VeniceSettings Settings;

extern void DefineSettings(void);

#endif							/* VENICE_GUC_H */
