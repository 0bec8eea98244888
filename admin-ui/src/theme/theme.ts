import { Badge, Button, createTheme, Modal, Paper, Table, Tooltip, type MantineColorsTuple } from '@mantine/core';

const tide: MantineColorsTuple = [
  '#e7f6f8', '#d2eaee', '#a6d4dc', '#76bdc9', '#4faab9', '#369db0', '#24939f', '#12808d', '#067587', '#005c6b',
];

/** Greys with a little blue, for the dark scheme. */
const dark: MantineColorsTuple = [
  '#d3d8dd', '#bcc3ca', '#98a3ae', '#6b7681', '#3d454c', '#2e3338', '#23282c', '#1b1f23', '#16191c', '#101214',
];

/** Calm and dense: small type, hairlines instead of shadows, one accent. */
export const theme = createTheme({
  colors: { tide, dark },
  primaryColor: 'tide',
  primaryShade: { light: 8, dark: 8 },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: '0.72rem', sm: '0.8rem', md: '0.86rem', lg: '0.95rem', xl: '1.1rem' },
  headings: {
    fontWeight: '620',
    sizes: { h1: { fontSize: '1.25rem', lineHeight: '1.4' }, h2: { fontSize: '0.92rem', lineHeight: '1.4' } },
  },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  components: {
    Badge: Badge.extend({ defaultProps: { variant: 'light', size: 'sm', radius: 'sm', tt: 'none', fw: 560 } }),
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    Modal: Modal.extend({ defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.4 }, closeButtonProps: { 'aria-label': 'Close' } } }),
    Paper: Paper.extend({ defaultProps: { withBorder: true, radius: 'md' } }),
    Table: Table.extend({ defaultProps: { verticalSpacing: 7, horizontalSpacing: 'sm', fz: 'sm' } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 250, withArrow: true, events: { hover: true, focus: true, touch: true } } }),
  },
});
