import { useLayoutEffect } from 'react';

/** Gives the focus back to what had it, when the dialog is gone. */
export function useFocusBack(): void {
  useLayoutEffect(() => {
    const opener = document.activeElement;
    return () => {
      if (opener instanceof HTMLElement) requestAnimationFrame(() => opener.focus());
    };
  }, []);
}
