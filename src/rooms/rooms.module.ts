import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { BusModule } from '../bus/bus.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { EventsModule } from '../events/events.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { CatchUp } from './catch-up.js';
import { Connections } from './connections.js';
import { EphemeralMessages } from './ephemeral-messages.js';
import { EventStreams } from './event-streams.js';
import { EventsController } from './events.controller.js';
import { PresenceStore } from './presence-store.js';
import { PrincipalNames } from './principal-names.js';
import { Publisher } from './publisher.js';
import { RoomDirectory } from './room-directory.js';
import { RoomHistory } from './room-history.js';
import { RoomHub } from './room-hub.js';
import { RoomPresence } from './room-presence.js';
import { RoomsGateway } from './rooms.gateway.js';
import { RoomsService } from './rooms.service.js';

/** Live delivery. Knows no feature: who may join what is declared by the features. */
@Module({
  imports: [BusModule, DatabaseModule, DiscoveryModule, EventsModule, SessionsModule],
  controllers: [EventsController],
  providers: [
    CatchUp,
    Connections,
    EphemeralMessages,
    PresenceStore,
    EventStreams,
    PrincipalNames,
    Publisher,
    RoomDirectory,
    RoomHistory,
    RoomHub,
    RoomPresence,
    RoomsGateway,
    RoomsService,
  ],
  exports: [Connections, EventStreams, PresenceStore, Publisher, RoomHub],
})
export class RoomsModule {}
