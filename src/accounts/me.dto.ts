import { IsBoolean, IsOptional, IsString, Length, ValidateIf } from 'class-validator';
import { IsGivenPassword, IsNewPassword } from './credential-rules.js';

const NAME = 'must be a text of 1 to 200 characters, or null';

/** A JSON Merge Patch (RFC 7396) of what people say about themselves. */
export class UpdateMeRequest {
  /** How others see this person; null removes it. */
  @IsOptional()
  @IsString({ message: NAME })
  @Length(1, 200, { message: NAME })
  name?: string | null;
}

export class DeleteMeRequest {
  /** The account's password, as confirmation. */
  @IsGivenPassword()
  password: string;
}

export class ChangePasswordRequest {
  @IsGivenPassword()
  currentPassword: string;

  /** 8 to 128 characters, any, but none of the most common passwords. */
  @IsNewPassword()
  newPassword: string;

  /** Whether every session but this one ends with it; true when left out. */
  @ValidateIf((_, value) => value !== undefined)
  @IsBoolean({ message: 'must be true or false' })
  endOtherSessions?: boolean;
}
