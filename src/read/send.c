/*-------------------------------------------------------------------------
 *
 * send.c
 *		Large answers go to the client in one piece.
 *
 * A backend sends its answers in pieces of 8 kB.  The first one wakes the client up,
 * which takes the processor away from the backend, finds half a row, and waits again:
 * to hand over the pieces of a packed batch takes longer than to look its rows up.  The
 * server's buffer can grow to take a message whole, and does so for those that must
 * not block; here large ones are put into it in that way, up to a limit.
 *
 * The buffer is the backend's, and so this is for all that it sends from then on; it
 * stays as large as it has become.
 *
 * Locks: none.
 * Must not know: what is sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/send.h"

/* What it says of other libraries wants their headers, and is not needed. */
#undef ENABLE_GSS
#undef USE_OPENSSL
#include "libpq/libpq.h"
#include "miscadmin.h"

#include "common/compat.h"

/* What goes out in one piece anyway, and how much is held back at most. */
#define SMALL_BYTES		8000
#define MOST_BYTES		(256 * 1024)

static const PQcommMethods *server = NULL;
static Size held = 0;			/* bytes of large messages since the last flush; some may be gone */
static bool putting = false;

static int
flush(void)
{
	held = 0;
	return server->flush();
}

static int
put_message(char type, const char *bytes, size_t length)
{
	/* putmessage_noblock makes room, and calls this. */
	if (putting || length < SMALL_BYTES || length > MOST_BYTES)
		return server->putmessage(type, bytes, length);
	if (held + length > MOST_BYTES && flush() != 0)
		return EOF;
	held += length;
	putting = true;
	server->putmessage_noblock(type, bytes, length);
	putting = false;
	return 0;
}

void
SendWhole(Size answer_bytes)
{
	static PQcommMethods methods;

	/* Other processes than those of clients send elsewhere. */
	if (server != NULL || answer_bytes < SMALL_BYTES || MyProcPort == NULL)
		return;
	server = PqCommMethods;
	methods = *server;
	methods.flush = flush;
	methods.putmessage = put_message;
	PqCommMethods = &methods;
}
