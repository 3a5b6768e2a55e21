import type { User } from './user.entity.js';

/** A person with an account. */
export class UserResponse {
  /** UUID. */
  id: string;
  email: string;
  /** Whether the address was proven to be this person's. */
  emailVerified: boolean;
  name: string | null;
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
}

export function toUserResponse(user: User): UserResponse {
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.emailVerifiedAt !== null,
    name: user.name,
    version: user.version,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  };
}
