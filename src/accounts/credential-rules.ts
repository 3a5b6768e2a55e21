import { applyDecorators } from '@nestjs/common';
import { IsString, MaxLength, ValidateBy } from 'class-validator';
import { parseEmail } from './email.js';
import { hasFitLength } from './password-rules.js';

const EMAIL = 'must be an e-mail address';
const PASSWORD = 'must be a text of 8 to 128 characters';
const GIVEN = 'must be a text of at most 1024 characters';
const TOKEN = 'must be the token of a mail';

const satisfies = (name: string, message: string, test: (text: string) => boolean): PropertyDecorator =>
  ValidateBy(
    { name, validator: { validate: (value: unknown) => typeof value === 'string' && test(value) } },
    { message },
  );

/** Exactly one address: a text, and not a list, an object or several in one. */
export const IsEmailAddress = (): PropertyDecorator =>
  satisfies('isEmailAddress', EMAIL, (text) => text.length <= 320 && parseEmail(text) !== undefined);

/** An address that somebody claims to have an account with; what is none is like an unknown one. */
export const IsGivenEmail = (): PropertyDecorator =>
  applyDecorators(IsString({ message: EMAIL }), MaxLength(320, { message: EMAIL }));

/** A password to be set; whether it is fit for the account is judged by `Passwords`. */
export const IsNewPassword = (): PropertyDecorator => satisfies('isNewPassword', PASSWORD, hasFitLength);

/** A password to be compared: whatever could have been set, in any Unicode form. */
export const IsGivenPassword = (): PropertyDecorator =>
  applyDecorators(IsString({ message: GIVEN }), MaxLength(1_024, { message: GIVEN }));

/** What a link in a mail carries. */
export const IsMailedToken = (): PropertyDecorator =>
  applyDecorators(IsString({ message: TOKEN }), MaxLength(100, { message: TOKEN }));
