/*-------------------------------------------------------------------------
 *
 * exact_text.c
 *		Settings under which a value's text is read as the same value.
 *
 * Whoever reads it has other settings.
 *
 * Locks: none.
 * Must not know: what is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/exact_text.h"

#include "miscadmin.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"

static void
pin_settings(void)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] = {
		{"bytea_output", "hex"},
		{"datestyle", "ISO"},
		{"extra_float_digits", "3"},
		{"intervalstyle", "postgres"}
	};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static bool
settings_are_pinned(void)
{
	return bytea_output == BYTEA_OUTPUT_HEX && DateStyle == USE_ISO_DATES &&
		extra_float_digits >= 1 && IntervalStyle == INTSTYLE_POSTGRES;
}

int
ExactTextBegin(void)
{
	int			nest_level = NewGUCNestLevel();

	if (!settings_are_pinned())
		pin_settings();
	return nest_level;
}

void
ExactTextEnd(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}
