/*-------------------------------------------------------------------------
 *
 * exact_text.h
 *		Settings under which a value's text is read as the same value.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_EXACT_TEXT_H
#define VENICE_EXACT_TEXT_H

/*
 * Have them from here to ExactTextEnd, which is given what this returns: where types'
 * output functions write all digits, ISO dates and bytes in hexadecimal.  An error in
 * between needs no clean-up.
 */
extern int	ExactTextBegin(void);
extern void ExactTextEnd(int nest_level);

#endif							/* VENICE_EXACT_TEXT_H */
