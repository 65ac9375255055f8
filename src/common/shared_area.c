/*-------------------------------------------------------------------------
 *
 * shared_area.c
 *		Shared memory of a room's own.
 *
 * Each room keeps what it shares between processes in a block that only it knows
 * the inside of.  Here is what all of them have in common: when to ask for memory
 * and locks, and when to fill it in.
 *
 * Locks: AddinShmemInitLock while blocks are made.
 * Must not know: what is in them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/shared_area.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define MAX_AREAS	8

typedef struct SharedArea
{
	const char *name;
	void	  **memory;
	Size		size;
	int			locks;
	SharedAreaFill fill;
} SharedArea;

static SharedArea areas[MAX_AREAS];
static int	area_count = 0;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	for (int i = 0; i < area_count; i++)
	{
		RequestAddinShmemSpace(MAXALIGN(areas[i].size));
		RequestNamedLWLockTranche(areas[i].name, areas[i].locks);
	}
}

static void
create_memory(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < area_count; i++)
	{
		bool		found;

		*areas[i].memory = ShmemInitStruct(areas[i].name, areas[i].size, &found);
		if (!found)
			areas[i].fill(GetNamedLWLockTranche(areas[i].name));
	}
	LWLockRelease(AddinShmemInitLock);
}

void
SharedAreaRequest(const char *name, void **memory, Size size, int locks, SharedAreaFill fill)
{
	if (area_count == 0)
	{
		previous_request_hook = shmem_request_hook;
		shmem_request_hook = request_memory;
		previous_startup_hook = shmem_startup_hook;
		shmem_startup_hook = create_memory;
	}
	Assert(area_count < MAX_AREAS);
	areas[area_count++] = (SharedArea) {name, memory, size, locks, fill};
}
