import { Button, Code, CopyButton } from '@mantine/core';
import classes from './CopyableCode.module.css';

/** A piece of a command line, and a button that copies it. Browsers copy on secure origins only; elsewhere it can be selected. */
export function CopyableCode({ children, label }: { children: string; label: string }) {
  return (
    <div className={classes['line']}>
      <Code className={classes['code']}>{children}</Code>
      {globalThis.isSecureContext && (
        <CopyButton value={children}>
          {({ copied, copy }) => (
            <Button variant="default" aria-label={label} onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      )}
    </div>
  );
}
