/*-------------------------------------------------------------------------
 *
 * call_site.h
 *		What a call of a function has worked out, kept for the calls after it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CALL_SITE_H
#define VENICE_CALL_SITE_H

#include "fmgr.h"

/* The beginning of what is kept. */
typedef struct CallSite
{
	MemoryContext context;		/* which goes when this does; its maker may use it */
	Oid			function;
	uint64		build;			/* of the handle that this was made for; 0: unfinished */
	bool		reusable;		/* by other statements */
} CallSite;

typedef bool (*CallSiteFits) (const CallSite *site, FunctionCallInfo fcinfo);

/*
 * What was made for this build of a handle, in this statement, or in another one
 * if it fits (NULL: it does); NULL when it has to be made.
 */
extern CallSite *CallSiteFind(FunctionCallInfo fcinfo, uint64 build, CallSiteFits fits);

/*
 * A new one of so many bytes, all zero but for its beginning, in place of the one
 * before.  Its maker sets "build", last, and "reusable".
 */
extern CallSite *CallSiteMake(FunctionCallInfo fcinfo, Size bytes);

#endif							/* VENICE_CALL_SITE_H */
