/*-------------------------------------------------------------------------
 *
 * service_plan.h
 *		How a service is answered: look-ups in stores, and what is computed
 *		from them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SERVICE_PLAN_H
#define VENICE_SERVICE_PLAN_H

#include "datatype/timestamp.h"

#include "registry/service_definition.h"

/* What became of one feature of one row. */
typedef enum FeatureStatus
{
	FEATURE_NOT_FOUND,
	FEATURE_OUTSIDE_MAX_AGE,
	FEATURE_NULL_VALUE,
	FEATURE_PRESENT,
	FEATURE_INCOMPLETE			/* of a label, whose time is not over */
} FeatureStatus;

extern const char *FeatureStatusName(FeatureStatus status);

/* A column of what goes in or comes out. */
typedef struct ServiceColumn
{
	char	   *name;
	Oid			type;
	int32		typmod;
	bool		is_request;		/* of an argument: no key */
} ServiceColumn;

/* The features that are not present, and why: {"feature": status}; NULL when all are. */
extern Jsonb *FeatureStatusObject(const ServiceColumn *columns, int count,
								  const FeatureStatus *statuses);

typedef struct ServicePlan ServicePlan;

/* Arguments, in order: values[a][n] is argument a of row n. */
typedef struct ServiceInput
{
	int64		count;
	Datum	  **values;
	bool	  **nulls;
} ServiceInput;

/* A row of the answer; valid until the call that is given it returns. */
typedef struct ServiceRow
{
	int64		position;		/* from 0 */
	const Datum *values;		/* of the features, in order */
	const bool *nulls;
	const FeatureStatus *statuses;
	const TimestampTz *event_times; /* DT_NOBEGIN: not known; NULL unless asked for */
} ServiceRow;

typedef void (*ServiceRowSink) (void *argument, const ServiceRow *row);

extern int	ServicePlanArguments(const ServicePlan *plan, const ServiceColumn **columns);
extern int	ServicePlanFeatures(const ServicePlan *plan, const ServiceColumn **columns);

/* The service's schema, of a plan from ServicePlanGet. */
extern Oid	ServicePlanSchema(const ServicePlan *plan);

/* The share of answers that are to be logged. */
extern double ServicePlanLogFraction(const ServicePlan *plan);

/*
 * The plan of "<project>.<service>", kept by the backend for as long as nothing of it
 * changes; and the owner, with whose rights it is answered.  42704 when there is no
 * such service; 42501 unless the current user has USAGE on its schema.
 */
extern ServicePlan *ServicePlanGet(const char *qualified_name, Oid *owner);

/*
 * A plan of one's own, in CurrentMemoryContext, to be dropped by ServicePlanDrop or with
 * the transaction.  Raises what the role may not read, and what cannot be computed.
 */
extern ServicePlan *ServicePlanMake(const Service *service, Oid role);
extern void ServicePlanDrop(ServicePlan *plan);

/*
 * Answer a number of rows, each in its turn, with the rights of a role.  False, before
 * the first row, when a store has other types than the plan was made for: get it anew.
 */
extern bool ServicePlanRun(ServicePlan *plan, Oid role, const ServiceInput *input,
						   bool event_times, ServiceRowSink sink, void *argument);

#endif							/* VENICE_SERVICE_PLAN_H */
