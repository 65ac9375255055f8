/*-------------------------------------------------------------------------
 *
 * maintenance.h
 *		What has to be done to versions after somebody has said so and left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_MAINTENANCE_H
#define VENICE_MAINTENANCE_H

/* Would a round find something to do?  In a transaction. */
extern bool MaintenanceIsNeeded(void);

/* Could a swap be made that waited for a dump?  *awaited: there is one that waits. */
extern bool DumpIsOver(bool *awaited);

#endif							/* VENICE_MAINTENANCE_H */
