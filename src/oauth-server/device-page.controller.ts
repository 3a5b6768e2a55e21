import { applyDecorators, Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { Public } from '../common/access.js';
import { DEVICE_PAGE, DEVICE_SCRIPT, DEVICE_STYLE } from './device-page.js';

/** Nothing but its own parts, in nobody's frame, and nothing that a form of it could be sent to. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const Served = (type: string): MethodDecorator =>
  applyDecorators(
    Public(),
    Header('Content-Type', `${type}; charset=utf-8`),
    Header('Content-Security-Policy', POLICY),
    Header('X-Frame-Options', 'DENY'),
    Header('Referrer-Policy', 'no-referrer'),
    Header('Cache-Control', 'no-store'),
    ApiOkResponse({ content: { [type]: { schema: { type: 'string' } } } }),
  );

@ApiTags('oauth server')
@Controller('device')
export class DevicePageController {
  /** The page on which a person approves a device. */
  @Get()
  @Served('text/html')
  page(): string {
    return DEVICE_PAGE;
  }

  /** What the page does. */
  @Get('page.js')
  @Served('text/javascript')
  script(): string {
    return DEVICE_SCRIPT;
  }

  /** How the page looks. */
  @Get('page.css')
  @Served('text/css')
  style(): string {
    return DEVICE_STYLE;
  }
}
