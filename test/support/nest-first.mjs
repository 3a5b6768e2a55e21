// A CommonJS package that needs Nest (@nestjs/throttler) is loaded while Jest still links the modules of the test;
// Nest must have been evaluated by then.
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';
