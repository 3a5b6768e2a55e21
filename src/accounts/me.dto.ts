import { IsBoolean, IsOptional, IsString, Length, MaxLength, ValidateIf } from 'class-validator';

const NAME = 'must be a text of 1 to 200 characters, or null';
const PASSWORD = 'must be a text of 8 to 128 characters';
const CURRENT_PASSWORD = 'must be a text of at most 128 characters';

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
  @IsString({ message: CURRENT_PASSWORD })
  @MaxLength(128, { message: CURRENT_PASSWORD })
  password: string;
}

export class ChangePasswordRequest {
  @IsString({ message: CURRENT_PASSWORD })
  @MaxLength(128, { message: CURRENT_PASSWORD })
  currentPassword: string;

  /** 8 to 128 characters, any. */
  @IsString({ message: PASSWORD })
  @Length(8, 128, { message: PASSWORD })
  newPassword: string;

  /** Whether every session but this one ends with it; true when left out. */
  @ValidateIf((_, value) => value !== undefined)
  @IsBoolean({ message: 'must be true or false' })
  endOtherSessions?: boolean;
}
