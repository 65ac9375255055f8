/*-------------------------------------------------------------------------
 *
 * call_site.c
 *		What a call of a function has worked out, kept for the calls after it.
 *
 * The executor makes a call's FmgrInfo anew for each execution of a prepared
 * statement, and what hangs on it goes with it.  To work out again how a row is
 * written costs more than to look it up.  So the backend keeps it when the
 * FmgrInfo goes, and gives it to the next one that asks for the same.
 *
 * It is lent, not shared: a type's send function or an operator may call a look-up
 * in the midst of another one, and find that the table has changed since.
 *
 * Locks: none.
 * Must not know: what is kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/call_site.h"

#include "utils/memutils.h"

/* Sites that nobody has.  Another one of the same place takes the place. */
#define SPARE_SITES		64

static CallSite *spare[SPARE_SITES];

/* Who has a site: fn_extra. */
typedef struct Holder
{
	CallSite   *site;			/* NULL: none yet */
	MemoryContextCallback release;
} Holder;

static CallSite **
place_of(Oid function, uint64 build)
{
	return &spare[(build * 8 + function) % SPARE_SITES];
}

/* The FmgrInfo goes. */
static void
release(void *argument)
{
	Holder	   *holder = argument;
	CallSite   *site = holder->site;

	if (site == NULL)
		return;
	if (site->build != 0 && site->reusable)
	{
		CallSite  **place = place_of(site->function, site->build);
		CallSite   *other = *place;

		*place = site;
		site = other;
	}
	if (site != NULL)
		MemoryContextDelete(site->context);
}

static Holder *
holder_of(FmgrInfo *function)
{
	Holder	   *holder = function->fn_extra;

	if (holder == NULL)
	{
		holder = MemoryContextAllocZero(function->fn_mcxt, sizeof(Holder));
		holder->release.func = release;
		holder->release.arg = holder;
		MemoryContextRegisterResetCallback(function->fn_mcxt, &holder->release);
		function->fn_extra = holder;
	}
	return holder;
}

CallSite *
CallSiteFind(FunctionCallInfo fcinfo, uint64 build, CallSiteFits fits)
{
	Holder	   *holder = holder_of(fcinfo->flinfo);

	if (holder->site == NULL)
	{
		Oid			function = fcinfo->flinfo->fn_oid;
		CallSite  **place = place_of(function, build);
		CallSite   *site = *place;

		if (site == NULL || site->function != function || site->build != build ||
			(fits != NULL && !fits(site, fcinfo)))
			return NULL;
		*place = NULL;
		holder->site = site;
	}
	return holder->site->build == build ? holder->site : NULL;
}

CallSite *
CallSiteMake(FunctionCallInfo fcinfo, Size bytes)
{
	Holder	   *holder = holder_of(fcinfo->flinfo);
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "venice call site",
												  ALLOCSET_SMALL_SIZES);
	CallSite   *site = MemoryContextAllocZero(context, bytes);

	site->context = context;
	site->function = fcinfo->flinfo->fn_oid;
	if (holder->site != NULL)
		MemoryContextDelete(holder->site->context);
	holder->site = site;
	return site;
}
